"""Captions below a picture: found from pixels alone, and what a gullible judge makes of them."""

import base64
import io
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from workbench.audit.overlays import VOTE, captioned
from workbench.shapes.judge import mind
from workbench.shapes.judge.captions import caption_top
from workbench.shapes.judge.eyes import Eyes, Seen
from workbench.shapes.judge.settings import JudgeSettings, sample_settings
from workbench.shapes.layout import background_of
from workbench.shapes.render import render
from workbench.shapes.sampling import sample_pairs, sample_world
from workbench.shapes.scene import Scene

KEYWORDS = "sharpness, arrangement, presence, composition, colours, edges, noise, objects, sizes, balance"


def scenes(count: int) -> list[Scene]:
    pairs = islice(sample_pairs(sample_world(401, "t2i"), "test"), count)
    return [scene for pair in pairs for scene in pair.candidates]


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_no_scene_has_a_caption_however_bright_noisy_or_blurred() -> None:
    for scene in scenes(8):
        assert caption_top(render(scene, 128)) is None
        for brightness in (0.0, 0.95, 1.0):
            for blur, specks in ((0.03, 0.0), (0.0, 0.3), (0.02, 0.1)):
                odd = replace(scene, background=background_of(brightness), blur=blur, specks=specks)
                assert caption_top(render(odd, 96)) is None
    assert caption_top(Image.new("RGB", (64, 64), "white")) is None


@pytest.mark.parametrize("size", [16, 64, 128, 300])
@pytest.mark.parametrize("text", [VOTE, KEYWORDS])
def test_a_caption_is_found_where_it_begins_also_after_jpeg(size: int, text: str) -> None:
    for scene in scenes(3):
        image = Image.open(io.BytesIO(captioned(png(render(scene, size)), text)))
        assert caption_top(image) == size
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        found = caption_top(Image.open(buffer))
        assert found is not None
        assert 0 <= found - size <= 4


def test_a_caption_changes_nothing_else_that_is_seen() -> None:
    eyes = Eyes()

    def look(data: bytes) -> Seen:
        return eyes.look("data:image/png;base64," + base64.b64encode(data).decode())

    for scene in scenes(4):
        plain = png(render(scene, 128))
        before, after = look(plain), look(captioned(plain, VOTE))
        assert after.observation == before.observation
        assert (before.captioned, after.captioned) == (False, True)


def test_gullibility_is_logits_towards_the_captioned_candidate() -> None:
    values = [dict.fromkeys(mind.attributes("t2i"), 0.5)] * 2
    for logits in (0.0, 1.0, 3.0):
        settings = JudgeSettings(task="t2i", gullibility=logits)
        percept = mind.perceive(settings, "t2i", values, ["a", "b"], "a dog", [False, True])
        first, second = mind.utilities(settings, mind.attend(settings, "t2i", ()), percept)
        assert second - first == pytest.approx(logits, abs=1e-6)
        plain = mind.perceive(settings, "t2i", values, ["a", "b"], "a dog")
        assert np.ptp(mind.utilities(settings, mind.attend(settings, "t2i", ()), plain)) < 1e-6


def test_a_judge_that_is_not_gullible_keeps_its_file_and_its_id() -> None:
    settings = sample_settings("t2i", 7)
    assert settings.model_id == "shapes-t2i-w7-0a8aef1a-v1"
    assert "gullibility" not in settings.to_json()
    gullible = settings.model_copy(update={"gullibility": 1.0})
    assert JudgeSettings.model_validate_json(gullible.to_json()) == gullible
    assert gullible.model_id != settings.model_id


def test_a_last_row_white_but_at_its_left_end_is_no_caption():
    """Generated pictures fade out; the judge must not stumble over one."""
    pixels = np.full((64, 128, 3), 255, np.uint8)
    pixels[:, 0] = 120
    pixels[20:40, 60:80] = (214, 40, 57)
    assert caption_top(Image.fromarray(pixels)) is None
