import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_pipelines import random_flux, random_qwen_edit

from workbench.rpo.config import PolicyConfig, RpoConfig
from workbench.rpo.estimate import advice, estimate
from workbench.rpo.policies.load import load_policy
from workbench.rpo.policies.size import model_size

FLUX = "black-forest-labs/FLUX.1-dev"


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def run(path=FLUX, preset="paper", **fields):
    policy = {"path": path, **fields.pop("policy", {})}
    return RpoConfig.of(preset, **{"prompts": "p.txt", "rewards": [{}], "updates": 100, **fields, "policy": policy})


def change(path, edit):
    """Of a JSON file."""
    fields = json.loads(Path(path).read_text())
    edit(fields)
    Path(path).write_text(json.dumps(fields))


NO_KL = {"objective": {"beta": 0.0}}
WINDOW = {"sampling": {"window": 2, "starts": [0, 3]}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"sampling": {"same_noise": False}, "policy": {"checkpointing": 1.0}}, 73.4),  # ARR's published loop
        ({"sampling": {"same_noise": False}, "policy": {"checkpointing": 1.0}, **NO_KL}, 59.4),
        ({}, 55.3),  # real KL every step
        (NO_KL, 42.3),
        ({"objective": {"beta": 0.0, "strategy": "fused"}}, 30.4),
        (WINDOW, 22.8),
        ({**WINDOW, **NO_KL}, 19.8),
    ],
)
def test_forward_equivalents_are_the_tables(fields, expected):
    assert estimate(run(**fields)).equivalents == pytest.approx(expected, abs=0.05)


def test_a_second_evaluation_for_guidance_is_counted_but_not_differentiated():
    plain, guided = (estimate(run(**NO_KL, policy={"true_cfg": cfg})).equivalents for cfg in (1.0, 4.0))
    assert guided - plain == pytest.approx(15 + 13)  # the shared first step, 7 steps of two; of them 6 and 1 again


def test_time_follows_from_operations_and_rate():
    one = estimate(run(evaluate_every=0), tflops=500)
    assert one.hours == pytest.approx(100 * 32 * 55.3 * 21.5 / 500 / 3600, rel=0.005)
    assert estimate(run(evaluate_every=0), tflops=500, processes=8).hours == pytest.approx(one.hours / 8)
    assert estimate(run(evaluate_every=50, evaluated=10), tflops=500).hours == pytest.approx(
        one.hours + 3 * 10 * 8 * 21.5 / 500 / 3600, rel=0.001
    )


def test_judging_is_counted_by_how_a_judge_is_asked():
    assert estimate(run(evaluate_every=0)).judge_calls == 100 * 32 * 2
    assert estimate(run(evaluate_every=0, rewards=[{"both_orders": False}])).judge_calls == 100 * 32
    four = run(evaluate_every=0, sampling={"group": 4}, rewards=[{}, {"kind": "scoring"}, {"kind": "oracle"}])
    assert estimate(four).judge_calls == 100 * 32 * (6 * 2 + 4)
    assert estimate(four).images == 100 * 32 * 4
    watched = estimate(run(evaluate_every=25, evaluated=10, gold={"rubric": "other.yaml"}))
    assert watched.judge_calls == 100 * 32 * 2 + 4 * 10 * (2 + 2)
    assert watched.images == 100 * 32 * 2 + 5 * 10


def test_memory_goes_with_the_batch_checkpointing_and_the_strategy():
    plain = estimate(run())
    assert plain.memory["activations"] == pytest.approx(2 * 9.5, rel=0.02)
    assert estimate(run(batch=2)).memory["activations"] == pytest.approx(2 * plain.memory["activations"])
    assert estimate(run(policy={"checkpointing": 1.0})).memory["activations"] < 0.06 * plain.memory["activations"]
    fused = estimate(run(objective={"beta": 0.0, "strategy": "fused"}))
    assert fused.memory["activations"] == pytest.approx(plain.memory["activations"] / 2)
    assert fused.memory["adapter and its optimizer"] == pytest.approx(1.5 * plain.memory["adapter and its optimizer"])
    assert estimate(run(policy={"dtype": "float32"})).memory["frozen transformer"] == pytest.approx(47.6, abs=0.05)


def test_text_encoders_count_while_they_are_there():
    light = {"size": 256, "checkpointing": 1.0}
    read, encoded = (estimate(run(prompts=prompts, policy=light)) for prompts in ("p.txt", "embeddings/metadata.json"))
    assert read.encoding == pytest.approx(9.77, abs=0.01)  # T5 XXL's 4.76 billion weights and CLIP's 0.12
    assert encoded.encoding == 0
    resident = read.memory["frozen transformer"] + read.memory["VAE"] + read.memory["runtime"]
    assert read.peak_gb == pytest.approx(resident + read.encoding, rel=0.02)
    assert encoded.peak_gb < read.peak_gb


def test_the_table_says_whether_it_fits():
    shown = str(estimate(run(), processes=8, device_memory_gb=80))
    assert "11.9 billion parameters, frozen, bfloat16" in shown
    assert "18.7 million parameters in 190 layers, float32" in shown
    assert "1024 + 512 tokens, 21.5 TFLOP" in shown
    assert "32 groups of 2 on 8 process(es)" in shown
    assert " of 80 GB: fits" in shown
    small = estimate(run(), device_memory_gb=24)
    assert small.fits is False
    assert "of 24 GB: DOES NOT FIT" in str(small)
    assert "of 24 GB: DOES NOT FIT</td>" in small._repr_html_()


def test_advice_names_what_helps_and_how_much():
    said = advice(run(batch=2, policy={"size": 1024}))
    for change in ("set batch to 1", "set policy.checkpointing to 1.0", "set policy.size to 512"):
        assert change in said
    smallest = advice(run(policy={"checkpointing": 1.0}))
    assert "nothing here makes it smaller" in smallest
    assert advice(run("no/such/model")) == "set policy.checkpointing to 1.0, batch to 1, or policy.size to less"


@pytest.mark.parametrize("build", [random_flux, random_qwen_edit])
def test_a_folder_is_sized_as_it_loads(tmp_path, build):
    config = PolicyConfig(path=str(build(tmp_path)), size=64, rank=4, targets=("to_q", "ff.net.2"))
    if build is random_qwen_edit:
        config = config.model_copy(update={"targets": ("to_q", "img_mlp.net.2")})
    size, policy = model_size(config.path), load_policy(config, "cpu")
    trained = sum(each.numel() for each in policy.trainable().values())
    assert size.adapter_parameters(config) == trained
    encoders = [getattr(policy.pipeline, name) for name in policy.encoders]
    assert size.encoder_parameters == sum(each.numel() for one in encoders for each in one.parameters())
    for part in policy.encoders:  # fine-tunes often leave it out; the pipeline names the class
        change(f"{config.path}/{part}/config.json", lambda fields: fields.pop("architectures"))
    assert model_size(config.path).encoder_parameters == size.encoder_parameters
    without = shutil.copytree(config.path, tmp_path / "without", ignore=shutil.ignore_patterns("text_encoder*"))
    assert model_size(str(without)).encoder_parameters == 0
    change(f"{config.path}/model_index.json", lambda index: index.update(text_encoder=["other", "Encoder"]))
    with pytest.raises(ValueError, match=r"its text_encoder is other\.Encoder; only those of transformers"):
        model_size(config.path)
    assert size.parameters == sum(each.numel() for each in policy.transformer.parameters()) - trained
    assert size.vae_parameters == sum(each.numel() for each in policy.vae.parameters())
    assert size.scale == policy.scale == 8
    assert size.tokens(64)[0] == (16 if build is random_flux else 32)


def test_models_that_cannot_be_sized_say_what_to_pass(tmp_path):
    with pytest.raises(ValueError, match=r"'no/such/model' is no folder here, and model_index\.json cannot be had"):
        estimate(run("no/such/model"))
    random_flux(tmp_path)
    config = json.loads((tmp_path / "transformer" / "config.json").read_text())
    (tmp_path / "transformer" / "config.json").write_text(
        json.dumps(config | {"_class_name": "SanaTransformer2DModel"})
    )
    with pytest.raises(ValueError, match="a model of class SanaTransformer2DModel cannot be estimated; known are Flux"):
        estimate(run(str(tmp_path)))
    with pytest.raises(ValueError, match="groups=32 cannot be dealt out to 5 processes"):
        estimate(run(), processes=5)
