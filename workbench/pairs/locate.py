"""Finding the images a dataset names, and refusing those it must not reach."""

import os
from pathlib import Path

from workbench.pairs.comparison import ImageSource
from workbench.pairs.images import check
from workbench.pairs.sources import ImageError, is_data_url, is_url, read_bytes, shown


class Locator:
    """Resolves image paths against the dataset's folder, then the working directory.

    - `allow_outside`: accept paths that lead out of both, by `..`, `~`, a symbolic link or an absolute path.
    - `allow_urls`: accept http(s) URLs; they are fetched when the image is needed, not here.
    - `check_images`: read every image once and check that it is whole.
    """

    def __init__(self, folder: Path, *, allow_outside: bool, allow_urls: bool, check_images: bool) -> None:
        self.folders = (str(folder.absolute()), os.getcwd())
        self.allow_outside = allow_outside
        self.allow_urls = allow_urls
        self.check_images = check_images
        self._real_folders = {folder: os.path.realpath(folder) for folder in self.folders}
        self._seen: dict[str, str | ImageError] = {}

    def locate(self, source: ImageSource) -> ImageSource:
        """The image as an absolute path, a URL, or bytes. Raises `ImageError` if it is missing, refused or damaged."""
        if isinstance(source, bytes) or is_data_url(source):
            data = read_bytes(source)
            if self.check_images:
                check(data)
            return data
        if source not in self._seen:
            try:
                self._seen[source] = self._locate_url(source) if is_url(source) else self._locate_file(source)
            except ImageError as error:
                self._seen[source] = error
        found = self._seen[source]
        if isinstance(found, ImageError):
            raise found
        return found

    def _locate_url(self, source: str) -> str:
        if not self.allow_urls:
            raise ImageError(f"image {shown(source)} is a URL", "download it, or allow URLs (--allow-urls)")
        return source

    def _locate_file(self, source: str) -> str:
        if "\0" in source or not _is_text(source):
            raise ImageError(f"image path {source!r} holds characters no path can", "correct it")
        home = os.path.expanduser(source)
        candidates = [home] if os.path.isabs(home) else [os.path.join(folder, home) for folder in self.folders]
        path = next((candidate for candidate in candidates if os.path.exists(candidate)), candidates[0])
        if not self.allow_outside and not self._is_inside(path):
            raise ImageError(
                f"image {source} lies outside the dataset's folder and the working directory",
                "move it there, or allow outside paths (--allow-outside)",
            )
        if not self.check_images:
            return path
        if not os.path.exists(path):
            raise ImageError(
                f"image {source} is not in {' nor in '.join(dict.fromkeys(self.folders))}",
                "add it, or correct the path",
            )
        try:
            check(read_bytes(path))
        except ImageError as error:
            raise ImageError(f"image {source}: {error.problem}", error.remedy) from error
        return path

    def _is_inside(self, path: str) -> bool:
        folder, name = os.path.split(path)
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        real = os.path.join(self._real_folders[folder], name)
        if name in ("", ".", "..") or os.path.islink(real):
            real = os.path.realpath(path)
        return any(real.startswith(self._real_folders[top].rstrip("/") + "/") for top in self.folders)


def _is_text(source: str) -> bool:
    try:
        os.fsencode(source)
    except UnicodeEncodeError:
        return False
    return True
