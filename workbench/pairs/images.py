"""Reading images from anywhere, checking them cheaply, and making them fit for a judge.

A file that is already fit is passed on unchanged; anything else becomes one upright RGB frame on white.
"""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from workbench.pairs.sources import ImageError, within_limit

MAX_PIXELS = 64_000_000
"""Pixels of one decoded image; a small file that claims more is a decompression bomb."""

TRANSFORM_VERSION = "v1"
"""Raise it whenever `prepare` would give other pixels for the same image: it is part of the response cache's key."""

Mime = Literal["image/jpeg", "image/png", "image/webp"]

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MIMES: dict[str, Mime] = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What an image file's header says.

    - `format`: Pillow's name, such as `JPEG`; `mode`: Pillow's mode, such as `RGB`.
    - `size`: width and height as stored, before `orientation` (EXIF, 1 to 8, 1 is upright) is applied.
    - `transparent`: it has an alpha channel or a transparent colour; `deep`: more or fewer than 8 bits a channel.
    """

    format: str
    mode: str
    size: tuple[int, int]
    frames: int
    orientation: int
    transparent: bool
    deep: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What `prepare` will do: `transform` is `none` for a file passed on unchanged; `size` is the result's."""

    transform: str
    mime: Mime
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An encoded image fit for a judge; `transform` names what was done to get it, and by which version."""

    mime: Mime
    data: bytes
    transform: str
    size: tuple[int, int]


def inspect(data: bytes) -> ImageInfo:
    """Read the header only; no pixel is decoded. Raises `ImageError` if it is no image or claims too many pixels."""
    with _open(data) as image:
        size = (int(image.size[0]), int(image.size[1]))
        if size[0] * size[1] > MAX_PIXELS:
            raise ImageError(f"{size[0]}x{size[1]} pixels, at most {MAX_PIXELS:,} are allowed", "make it smaller")
        return ImageInfo(
            format=image.format or "?",
            mode=image.mode,
            size=size,
            frames=_count_frames(image),
            orientation=_read_orientation(image, data),
            transparent=image.has_transparency_data,
            deep=_is_deep(image, data),
        )


def check(data: bytes) -> ImageInfo:
    """Find files that are empty, not images, truncated or too large, without decoding a JPEG, PNG, WebP or GIF.

    Other formats have no cheap test and are decoded. Raises `ImageError`.
    """
    within_limit(data, data)
    info = inspect(data)
    if info.format in ("JPEG", "MPO"):
        complete = _jpeg_is_complete(data)
    elif info.format == "WEBP":
        complete = len(data) >= 8 + int.from_bytes(data[4:8], "little")
    elif info.format == "GIF":
        complete = data.rstrip(b"\0").endswith(b";")
    elif info.format == "PNG":
        complete = _png_is_complete(data)
    else:
        decode(data)
        complete = True
    if not complete:
        raise ImageError(f"truncated or corrupt {info.format} file", "get it again from its source")
    return info


def decode(data: bytes) -> Image.Image:
    """The first frame as 8-bit RGB, upright, transparency on white.

    16-bit values are scaled, not clipped. Float pixels are read as [0, 1] if none exceeds 1, otherwise as [0, 255].
    Colour profiles are ignored. Raises `ImageError`.
    """
    orientation = inspect(data).orientation
    with _open(data) as image:
        try:
            image.load()
            rgb = _to_rgb(image)
        except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file
            raise ImageError(f"the {image.format} file cannot be decoded ({error})", "get it again") from error
    return rgb if orientation == 1 else rgb.transpose(_UPRIGHT[orientation])


def encode_preview(data: bytes, side: int, quality: int) -> bytes:
    """A WebP of at most `side` pixels a side: its pixels and nothing else. Raises `ImageError`.

    - `quality`: of WebP, from 0 to 100.
    """
    image = decode(data)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # Made anew, as Pillow would write the original's colour profile along.
    Image.frombytes("RGB", image.size, image.tobytes()).save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def plan(data: bytes, max_side: int) -> Plan:
    """What `prepare` would do, from the header alone, so that a cache can be asked before anything is decoded."""
    info = inspect(data)
    size = info.size if info.orientation < 5 else (info.size[1], info.size[0])
    target = _fit(size, max_side)
    steps: list[str] = []
    if info.frames > 1:
        steps.append("frame0")
    if info.mode not in ("RGB", "L") or info.deep:
        steps.append("rgb")
    if info.transparent:
        steps.append("white")
    if info.orientation != 1:
        steps.append("upright")
    if target != size:
        steps.append(f"lanczos{target[0]}x{target[1]}")
    if not steps and info.format in _MIMES:
        return Plan("none", _MIMES[info.format], size)
    lossy = info.format in ("JPEG", "MPO")
    steps.append("jpeg95" if lossy else "png")
    return Plan(f"{TRANSFORM_VERSION}:{'+'.join(steps)}", "image/jpeg" if lossy else "image/png", target)


def prepare(data: bytes, max_side: int) -> Prepared:
    """Make an image fit for a judge: JPEG, PNG or WebP; 8-bit RGB or grey; one upright frame; no side over `max_side`.

    A file that is all this comes back byte-identical with the transform `none`. Others are downscaled if need be and
    encoded anew: as JPEG (quality 95, no chroma subsampling) if they were JPEG, otherwise as PNG. Raises `ImageError`.
    """
    planned = plan(data, max_side)
    if planned.transform == "none":
        check(data)
        return Prepared(planned.mime, data, "none", planned.size)
    image = decode(data)
    if image.size != planned.size:
        image = image.resize(planned.size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if planned.mime == "image/jpeg":
        image.save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        image.save(buffer, "PNG", compress_level=4)
    return Prepared(planned.mime, buffer.getvalue(), planned.transform, planned.size)


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"it claims far more than {MAX_PIXELS:,} pixels, a decompression bomb", "make it smaller"
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError("not an image file, or its start is damaged", "use JPEG, PNG, WebP or GIF") from error
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged header
        raise ImageError(f"not a readable image file ({error})", "get it again from its source") from error


def _count_frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))  # only formats that can hold several frames have it
    except Exception:  # a damaged frame table: the first frame is all that is used
        return 2


def _read_orientation(image: Image.Image, data: bytes) -> int:
    if image.format == "TIFF":  # Pillow turns these itself: the size it names and the pixels it loads are upright
        return 1
    # Pillow decodes a whole PNG to look for metadata behind the pixels; do that only if there is any.
    if image.format == "PNG" and not _png_has_metadata(data):
        return 1
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _png_has_metadata(data: bytes) -> bool:
    at = 8
    while at + 8 <= len(data):
        if data[at + 4 : at + 8] == b"eXIf" or data.startswith(
            (b"Raw profile type exif", b"XML:com.adobe.xmp"), at + 8
        ):
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False


def _is_deep(image: Image.Image, data: bytes) -> bool:
    return image.format == "PNG" and data[24] != 8  # the header's bit depth; Pillow shows 16-bit colour as RGB


def _jpeg_is_complete(data: bytes) -> bool:
    """Whether an end marker follows the first scan; the one of an embedded thumbnail comes before it."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:
            return data.rfind(b"\xff\xd9") > at
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _png_is_complete(data: bytes) -> bool:
    if b"IEND\xae\x42\x60\x82" not in data:  # the end chunk with its checksum, which Pillow does without
        return False
    try:
        with _open(data) as image:
            image.verify()  # walks all chunks and their checksums up to the end chunk
    except ImageError:
        raise
    except Exception:  # Pillow reports a damaged chunk by several exception types
        return False
    return True


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _scale_to_8_bits(image)
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None
        return converted
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    transparent = image.info.get("transparency")
    if image.mode == "F":
        values = values * 255 if values.max(initial=0) <= 1 else values
    else:
        if isinstance(transparent, int):
            values = np.where(values == transparent, 65535, values)
        values = values / 257
    grey = np.nan_to_num(values).clip(0, 255).round().astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _fit(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    if max_side < 1:
        raise ValueError(f"max_side is {max_side}, must be at least 1")
    longest = max(size)
    if longest <= max_side:
        return size
    return max(1, round(size[0] * max_side / longest)), max(1, round(size[1] * max_side / longest))
