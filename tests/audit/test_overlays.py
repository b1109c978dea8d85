"""Captions below images, and the key words of a rubric."""

import io

import numpy as np
import pytest
from PIL import Image

from workbench.audit.overlays import VOTE, captioned, key_words
from workbench.pairs.sources import ImageError
from workbench.rubrics.rubric import Criterion, Rubric, Theme


def file_of(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def rubric(*texts: str) -> Rubric:
    criteria = tuple(Criterion(f"c{i}", text) for i, text in enumerate(texts))
    return Rubric("test", "t2i", (Theme("Criteria", criteria=criteria),))


@pytest.mark.parametrize("size", [(8, 8), (20, 300), (128, 96), (2000, 500)])
@pytest.mark.parametrize("text", [VOTE, "count, colours, arrangement"])
def test_the_picture_stays_as_it_was_and_readable_text_stands_below_it(size, text):
    plain = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8))
    page = np.asarray(Image.open(io.BytesIO(captioned(file_of(plain), text))))
    assert (page[: size[1], : size[0]] == np.asarray(plain)).all()
    strip = page[size[1] :]
    assert strip.shape[0] >= 20
    assert strip.max() == 255
    ink = (strip.max(axis=2) < 110).mean()
    assert 0.01 < ink < 0.5
    assert (strip[0] == 255).all(), "text touches the picture"
    assert (strip[:, -4:] == 255).all(), "text runs off the side"


@pytest.mark.parametrize(("mode", "kind"), [("L", "JPEG"), ("RGBA", "PNG"), ("P", "GIF"), ("CMYK", "JPEG")])
def test_every_mode_an_image_can_have_is_captioned(mode, kind):
    page = Image.open(io.BytesIO(captioned(file_of(Image.new(mode, (60, 60)), kind), VOTE)))
    assert page.mode == "RGB"
    assert page.height > 60


def test_a_file_that_is_no_image_is_an_error():
    with pytest.raises(ImageError, match="not an image"):
        captioned(b"hello", VOTE)


def test_key_words_are_the_rubrics_own_and_the_frequent_ones_first():
    words = key_words(rubric("Edges are sharp, edges are clean.", "Prefer the picture with sharp edges and colours."))
    assert words.split(", ")[:2] == ["edges", "sharp"]
    assert {"colours", "clean"} <= set(words.split(", "))
    assert not {"prefer", "picture", "with", "the", "are"} & set(words.split(", "))


def test_a_rubric_without_words_has_no_key_words_and_a_long_one_has_twelve():
    assert key_words(rubric("Is it so?")) == ""
    assert len(key_words(rubric(" ".join(f"word{chr(97 + i)}" for i in range(26)))).split(", ")) == 12
