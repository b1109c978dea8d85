"""The committed weights of the tiny edit policy: what training made of them is what the policy reads and draws."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import QwenImageEditPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit
from PIL import Image

from workbench.rpo.config import PolicyConfig
from workbench.rpo.draws import generator
from workbench.rpo.policies.load import load_policy
from workbench.rpo.policy import Prompt
from workbench.rpo.prompts import read_prompts
from workbench.rpo.watching.measured import draw
from workbench.shapes.pretrain import qwen_text, qwen_vae, tiny_qwen_edit
from workbench.shapes.pretrain.accuracy import accuracy, right_edit
from workbench.shapes.prompt_files import write_prompts
from workbench.shapes.small_world import WIDTH, edit_triples, picture
from workbench.shapes.world import encode

FOLDER = Path(__file__).parents[3] / "data/models/tiny_qwen_edit"
PAIRS = 40


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def policy():
    return load_policy(PolicyConfig(path=str(FOLDER), size=WIDTH), "cpu")


@pytest.fixture(scope="module")
def triples():
    return edit_triples(PAIRS, 0, "test")


@pytest.fixture(scope="module")
def cond(policy, triples):
    """The first three as the policy reads them."""
    asked = [Prompt(str(i), each.instruction, encode(each.source, WIDTH)) for i, each in enumerate(triples[:3])]
    return policy.encode(asked)


@pytest.fixture(scope="module")
def edited(policy, triples):
    return tiny_qwen_edit.redraw(policy, triples, seed=0)


def test_every_file_is_small_and_the_folder_a_pipeline():
    files = [each for each in FOLDER.rglob("*") if each.is_file()]
    assert {each.suffix for each in files} == {".safetensors", ".json", ".md"}
    assert all(each.stat().st_size < 10_000_000 for each in files)
    pipeline = QwenImageEditPipeline.from_pretrained(FOLDER, dtype=torch.float32, processor=None)
    assert pipeline.vae_scale_factor == 8
    assert not pipeline.scheduler.config.use_dynamic_shifting
    u = np.linspace(1, 0, 9)
    pipeline.scheduler.set_timesteps(sigmas=u[:-1])  # as the pipeline does
    np.testing.assert_allclose(pipeline.scheduler.sigmas, 3 * u / (1 + 2 * u), atol=1e-6)


def test_sources_are_the_latents_that_training_saw(policy, triples, cond):
    latents = qwen_vae.encode(policy.vae, np.stack([picture(each.source) for each in triples]))
    torch.testing.assert_close(latents[:3], cond.tensors["source"], atol=1e-3, rtol=1e-3)
    assert latents.mean() == pytest.approx(0, abs=0.15)
    assert latents.std() == pytest.approx(1, abs=0.25)


def test_texts_and_velocities_are_those_of_training(policy, triples, cond):
    drawn = np.stack([picture(each.source) for each in triples[:3]])
    parts = tiny_qwen_edit.EditPolicy(
        policy.transformer, policy.vae, policy.pipeline.text_encoder, policy.pipeline.tokenizer, policy.processor, None
    )
    seen = tiny_qwen_edit.see_triples(parts, triples[:3], drawn)
    mask = seen.mask[:, qwen_text.DROPPED :].bool()
    x_t = torch.randn(3, 16, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        text = qwen_text.hidden_states(parts.text_encoder, seen, torch.full((3,), True))
        v = tiny_qwen_edit.predict(parts, x_t, torch.full((3,), 0.75), cond.tensors["source"], text, seen.mask)
        # patches are kept in float16 for training
        torch.testing.assert_close(text[mask], cond.tensors["prompt_embeds"][mask], atol=2e-2, rtol=0)
        assert torch.equal(mask, cond.tensors["prompt_mask"].bool())
        ours = policy.velocity(x_t, 0.75, cond)
    assert ours.std() > 0.5
    torch.testing.assert_close(ours, v, atol=2e-2, rtol=0)


def test_pictures_are_of_the_sources_size_and_follow_seed_and_id(policy, triples, edited, tmp_path):
    assert {each.size for each in edited} == {(64, 64)}
    file = write_prompts("edit", "test", 4, tmp_path)
    again, other = draw(policy, read_prompts(file), [0, 1], 8, 3.0)
    apart = [np.abs(np.subtract(a, b, dtype=np.float64)).mean() for a, b in zip(again, edited, strict=False)]
    assert max(apart) < 1
    assert any(a.tobytes() != b.tobytes() for a, b in zip(again, other, strict=True))


def test_the_pipelines_own_loop_draws_the_same_picture(policy, triples, cond, edited, monkeypatch):
    monkeypatch.setattr(pipeline_qwenimage_edit, "calculate_dimensions", lambda area, ratio: (WIDTH, WIDTH, None))
    pipeline = QwenImageEditPipeline.from_pretrained(FOLDER, dtype=torch.float32, processor=None)
    pipeline.set_progress_bar_config(disable=True)
    first, length = cond.select([0]), int(cond.tensors["prompt_mask"][0].sum())
    theirs = pipeline(
        Image.fromarray(picture(triples[0].source)),
        prompt_embeds=first.tensors["prompt_embeds"][:, :length],
        prompt_embeds_mask=first.tensors["prompt_mask"][:, :length].long(),
        true_cfg_scale=1.0,
        sigmas=[float(each) for each, _ in pairwise(np.linspace(1, 0, 9))],
        latents=policy.init_latents(first, [generator(0, "measured", "line-1")]),
    ).images[0]
    assert np.abs(np.subtract(theirs, edited[0], dtype=np.float64)).mean() < 1


def test_a_part_of_the_test_pairs_agrees_with_the_card(triples, edited):
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    low, high = (
        float(each) / 100 for each in re.search(r"fully right \|[^\[]*\[([\d.]+)%,\s([\d.]+)%\]", card).groups()
    )
    found = accuracy(triples, lambda some, seed: edited, right_edit, [0])["fully right"]
    assert found.ci95[0] < high
    assert found.ci95[1] > low
    assert "ynthetic" in card
