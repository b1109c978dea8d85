"""Images of every kind: what is seen is what was stored, and what is fit is passed on unchanged."""

import base64
import functools
import http.server
import io
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workbench.pairs import images
from workbench.pairs.images import check, decode, inspect, plan, prepare
from workbench.pairs.sources import ImageError, read_bytes


def encode(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def gradient(width: int = 16, height: int = 12) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 255 // width, y * 255 // height, (x + y) * 2], axis=-1).astype(np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize(
    ("image", "format", "expected"),
    [
        (Image.new("1", (3, 2), 1), "PNG", (255, 255, 255)),
        (Image.new("L", (3, 2), 90), "PNG", (90, 90, 90)),
        (Image.new("LA", (3, 2), (0, 128)), "PNG", (127, 127, 127)),
        (Image.new("RGBA", (3, 2), (255, 0, 0, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (3, 2), (255, 0, 0, 255)), "WEBP", (255, 0, 0)),
        (Image.new("RGB", (3, 2), (1, 2, 3)), "BMP", (1, 2, 3)),
        (Image.fromarray(np.full((2, 3), 257 * 200, np.uint16)), "PNG", (200, 200, 200)),
        (Image.fromarray(np.full((2, 3), 257 * 200, np.int32)), "TIFF", (200, 200, 200)),
        (Image.fromarray(np.full((2, 3), 0.5, np.float32)), "TIFF", (128, 128, 128)),
        (Image.fromarray(np.full((2, 3), 77.0, np.float32)), "TIFF", (77, 77, 77)),
        (Image.new("CMYK", (3, 2), (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (Image.new("LAB", (3, 2), (255, 128, 128)), "TIFF", (255, 255, 255)),
    ],
    ids=lambda value: getattr(value, "mode", None),
)
def test_decode_shows_every_mode_as_8_bit_rgb_on_white(
    image: Image.Image, format: str, expected: tuple[int, ...]
) -> None:
    seen = pixels(decode(encode(image, format)))
    assert seen.shape == (2, 3, 3)
    assert np.abs(seen - expected).max() <= 1


def test_palette_with_a_transparent_colour_is_put_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    seen = pixels(decode(encode(image, transparency=0)))
    assert seen.tolist() == [[[255, 255, 255], [0, 0, 255]]]
    assert pixels(decode(encode(image))).tolist() == [[[255, 0, 0], [0, 0, 255]]]


def test_a_transparent_colour_of_16_bit_grey_becomes_white() -> None:
    image = Image.fromarray(np.array([[257 * 10, 257 * 20]], np.uint16))
    assert pixels(decode(encode(image, transparency=257 * 10)))[0, :, 0].tolist() == [255, 20]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(orientation: int) -> None:
    upright = np.asarray(gradient())
    # Storing an image so that the viewer's turn restores it: the inverse of each of the eight turns.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    data = encode(Image.fromarray(np.ascontiguousarray(stored)), exif=exif_with(orientation))
    assert inspect(data).orientation == orientation
    assert np.array_equal(pixels(decode(data)), upright)
    assert prepare(data, 64).size == (16, 12)
    assert (prepare(data, 64).transform == "none") == (orientation == 1)
    # Pillow turns a TIFF itself; turning it again would show it wrong.
    tiff = encode(Image.fromarray(np.ascontiguousarray(stored)), "TIFF", exif=exif_with(orientation))
    assert np.array_equal(pixels(decode(tiff)), upright)
    assert plan(tiff, 64).size == prepare(tiff, 64).size == (16, 12)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_the_first_frame_of_an_animation_is_used(format: str) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    lossless = {"lossless": True} if format == "WEBP" else {}
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **lossless)
    assert check(data).frames == 2
    assert pixels(decode(data))[0, 0].tolist() == [255, 0, 0]
    assert "frame0" in prepare(data, 64).transform


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_fit_file_is_passed_on_byte_for_byte(format: str, mode: str) -> None:
    data = encode(gradient().convert(mode), format)
    prepared = prepare(data, 16)
    assert prepared.data is data
    assert (prepared.transform, prepared.size) == ("none", (16, 12))
    assert prepared.mime == f"image/{format.lower()}"


@pytest.mark.parametrize(
    ("image", "format", "options", "mime", "step"),
    [
        (gradient(), "BMP", {}, "image/png", "png"),
        (gradient().convert("RGBA"), "PNG", {}, "image/png", "white"),
        (gradient(), "PNG", {"transparency": (0, 0, 0)}, "image/png", "white"),
        (gradient().convert("CMYK"), "JPEG", {}, "image/jpeg", "rgb"),
        (gradient(64, 48), "JPEG", {}, "image/jpeg", "lanczos32x24"),
        (gradient(64, 48), "WEBP", {}, "image/png", "lanczos32x24"),
        (Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG", {}, "image/png", "rgb"),
    ],
)
def test_an_unfit_file_is_made_fit(
    image: Image.Image, format: str, options: dict[str, object], mime: str, step: str
) -> None:
    data = encode(image, format, **options)
    prepared = prepare(data, 32)
    assert prepared.mime == mime
    assert prepared.transform.startswith("v1:")
    assert step in prepared.transform.removeprefix("v1:").split("+")
    assert prepare(prepared.data, 32).transform == "none"
    assert prepared == prepare(data, 32)
    assert (plan(data, 32).transform, plan(data, 32).size) == (prepared.transform, prepared.size)
    difference = pixels(decode(prepared.data)) - pixels(decode(data).resize(prepared.size, Image.Resampling.LANCZOS))
    assert np.abs(difference).max() <= (0 if mime == "image/png" else 12)


def test_16_bit_colour_is_not_passed_on() -> None:
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    body = zlib.compress(b"\0" + bytes([200, 0, 100, 0, 50, 0]))
    chunks = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c)) for name, c in chunks
    )
    assert pixels(decode(prepare(data, 8).data)).tolist() == [[[200, 100, 50]]]
    assert prepare(data, 8).transform == "v1:rgb+png"


def test_downscaling_keeps_a_sliver_at_least_one_pixel_wide() -> None:
    assert prepare(encode(Image.new("RGB", (1000, 1))), 10).size == (10, 1)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_truncated_files_are_found(format: str) -> None:
    data = encode(gradient(64, 64), format)
    check(data)
    for cut in (len(data) // 2, len(data) - 2):
        with pytest.raises(ImageError):
            check(data[:cut])


def test_a_truncated_jpeg_with_a_whole_thumbnail_is_found() -> None:
    data = encode(gradient(256, 256), "JPEG", exif=b"Exif\0\0" + encode(gradient(), "JPEG"))
    check(data)
    with pytest.raises(ImageError, match="truncated"):
        check(data[:-300])


def test_a_damaged_png_chunk_is_found() -> None:
    data = bytearray(encode(gradient(64, 64)))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match="PNG"):
        check(bytes(data))


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"<svg/>"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        check(data)


@pytest.mark.parametrize("side", [8_100, 12_000, 30_000, 200_000])
def test_decompression_bombs_are_refused_unread(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c))
        for name, c in [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    )
    for use in (check, decode, functools.partial(prepare, max_side=64)):
        with pytest.raises(ImageError, match="pixels"):
            use(bomb)


def test_oversized_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.png"
    path.write_bytes(encode(gradient()))
    monkeypatch.setattr("workbench.pairs.sources.MAX_BYTES", 10)
    for source in (str(path), path.read_bytes()):
        with pytest.raises(ImageError, match="at most 10"):
            read_bytes(source)


def test_bytes_paths_and_data_urls_give_the_same_bytes(tmp_path: Path) -> None:
    data = encode(gradient())
    path = tmp_path / "a b.png"
    path.write_bytes(data)
    assert read_bytes(data) is data
    assert read_bytes(str(path)) == data
    assert read_bytes("data:image/png;base64," + base64.b64encode(data).decode()) == data


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere.png", "does not exist"),
        (".", "not a file"),
        ("a\0b", "cannot be read"),
        ("data:image/png;base64,***", "base64"),
        ("data:image/png", "no data URL"),
        ("https://example.org/a.png", "allow URLs"),
        (b"", "empty"),
    ],
)
def test_unreadable_sources_say_what_is_wrong(source: str | bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        read_bytes(source)


@pytest.fixture
def server() -> Iterator[str]:
    picture = encode(gradient())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/missing.png":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(picture) + (100 if self.path == "/short.png" else 0)))
            self.end_headers()
            self.wfile.write(picture)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_urls_are_fetched_only_where_allowed(server: str) -> None:
    with pytest.raises(ImageError, match="allow URLs"):
        read_bytes(f"{server}/a.png")
    assert read_bytes(f"{server}/a.png", allow_urls=True) == encode(gradient())
    for name in ("missing", "short"):
        with pytest.raises(ImageError, match=name):
            read_bytes(f"{server}/{name}.png", allow_urls=True)


def test_an_oversized_download_is_broken_off(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.pairs.sources.MAX_BYTES", 10)
    with pytest.raises(ImageError, match="more than 10 bytes"):
        read_bytes(f"{server}/a.png", allow_urls=True)


def test_max_side_must_be_positive() -> None:
    with pytest.raises(ValueError, match="max_side is 0"):
        plan(encode(gradient()), 0)


def test_the_limit_is_what_the_message_says() -> None:
    assert images.MAX_PIXELS == 64_000_000
