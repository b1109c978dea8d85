"""The tiny edit policy: its parts against the classes they stand for."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import QwenImageEditPipeline
from PIL import Image

from workbench.shapes.instructions import Edit
from workbench.shapes.pretrain import qwen_text, qwen_vae, tiny_qwen_edit
from workbench.shapes.pretrain.accuracy import EDIT_CRITERIA, accuracy, right_edit
from workbench.shapes.pretrain.flow import FlowSettings
from workbench.shapes.render import render
from workbench.shapes.scene import PlacedShape, Scene
from workbench.shapes.small_world import WIDTH, EditTriple, edit_triples

PAIRS = 60


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def untrained():
    return tiny_qwen_edit.build_policy(qwen_vae.build_vae().eval(), seed=0)


@pytest.fixture(scope="module")
def triples():
    return edit_triples(PAIRS, 0, "test")


def test_the_tokenizer_has_as_many_tokens_before_the_picture_as_qwens_own(untrained):
    pipeline = QwenImageEditPipeline(*[None] * 6)
    template = pipeline.prompt_template_encode
    tokens = untrained.tokenizer.tokenize(template.format("change the red circles to squares"))
    assert tokens.index("<|vision_start|>") == qwen_text.DROPPED == pipeline.prompt_template_encode_start_idx
    assert template == qwen_text.TEMPLATE.format("<|image_pad|>", "{}")
    asked = [token.removeprefix("\u0120") for token in tokens[tokens.index("<|vision_end|>") + 1 : -5]]
    assert asked == ["change", "the", "red", "circles", "to", "squares"]


@pytest.mark.parametrize("mapped", [True, False], ids=["rows and columns", "in a row"])
def test_reading_the_system_prompt_once_changes_nothing(untrained, mapped):
    model, rng = untrained.text_encoder, np.random.default_rng(0)
    sources = [Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) for _ in range(3)]
    instructions = ["remove the red circle", "move the blue squares to the left", "add an orange star"]
    seen = qwen_text.see(untrained.tokenizer, untrained.image_processor, instructions, sources)
    patches = untrained.image_processor(images=sources, return_tensors="pt")
    places = {"mm_token_type_ids": (seen.ids == model.config.image_token_id).int()} if mapped else {}
    with torch.no_grad():
        ours = qwen_text.hidden_states(model, seen, torch.full((3,), mapped))
        model.model.rope_deltas = None
        theirs = model(seen.ids, attention_mask=seen.mask, output_hidden_states=True, **patches, **places)
    kept = seen.mask[:, qwen_text.DROPPED :].bool()
    # patches are kept in float16
    torch.testing.assert_close(ours[kept], theirs.hidden_states[-1][:, qwen_text.DROPPED :][kept], atol=3e-3, rtol=0)


def test_training_lowers_the_loss_and_moves_every_part(untrained):
    before = {
        name: each.detach().clone()
        for part in (untrained.transformer, untrained.text_encoder)
        for name, each in part.named_parameters()
    }
    settings = FlowSettings(steps=6, batch=8, warm_up=1, average=0.5)
    losses = tiny_qwen_edit.train(untrained, edit_triples(16, 0, "train"), settings, seed=0)
    assert np.mean(losses[-2:]) < losses[0]
    after = {**dict(untrained.transformer.named_parameters()), **dict(untrained.text_encoder.named_parameters())}
    still = [name for name, each in before.items() if torch.equal(each, after[name])]
    # the last block's text leads nowhere in Qwen-Image's transformer
    assert all(re.search(r"blocks\.3\..*(add_out|txt_|add_q)", name) for name in still)


def test_right_is_the_whole_change_and_nothing_else():
    red, blue = PlacedShape("red", "circle", 0.3, 0.3, 0.1), PlacedShape("blue", "square", 0.7, 0.6, 0.1)
    source = Scene((red, blue), (200, 200, 200))
    green = replace(red, color="green")
    triple = EditTriple(source, Edit("recolor", "red", "circle", "green"), Scene((green, blue), (200, 200, 200)))
    cases = {
        "target": (triple.target, True, True),
        "source": (source, False, True),
        "other moved": (Scene((green, replace(blue, x=0.6)), (200, 200, 200)), True, False),
        "other gone": (Scene((green,), (200, 200, 200)), True, False),
        "darker": (Scene((green, blue), (150, 150, 150)), True, False),
    }
    for name, (scene, done, kept) in cases.items():
        found = {"instruction": done, "preservation": kept, "fully right, recolor": done and kept}
        assert right_edit(triple, render(scene, WIDTH)) == found, name


def test_accuracy_counts_each_seed_and_names_every_action(triples):
    def targets_then_sources(some, seed):
        return [render(each.source if seed else each.target, WIDTH) for each in some]

    found = accuracy(triples[:30], targets_then_sources, right_edit, range(2))
    assert found["fully right"].n == 60
    assert 0.4 < found["fully right"].value <= 0.5
    actions = [f"fully right, {action}" for action in ("recolor", "reshape", "remove", "add", "resize", "move")]
    assert tuple(actions) == EDIT_CRITERIA[2:]
    assert set(found) == {"fully right", "instruction", "preservation", *actions}
    assert sum(found[name].n for name in actions) == 60
