import io
import itertools

import numpy as np
import pytest
import torch
from diffusers import QwenImageEditPipeline, QwenImageEditPlusPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from PIL import Image
from tiny_pipelines import random_flux, random_qwen_edit

from workbench.rpo.config import PolicyConfig
from workbench.rpo.policies.flux import FluxPolicy
from workbench.rpo.policies.load import load_policy
from workbench.rpo.policies.qwen_edit import QwenEditPolicy
from workbench.rpo.policies.sources import fitting
from workbench.rpo.policy import Prompt


def png(width, height, color="red"):
    picture = Image.new("RGB", (width, height), color)
    picture.paste("blue", (width // 4, height // 4, width // 2, height // 2))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


RED = Prompt("e1", "paint the circle blue", png(64, 64))
GREEN = Prompt("e2", "remove the square", png(64, 64, "green"))
WIDE = Prompt("e3", "make it yellow", png(256, 64))


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_qwen_edit(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def plus(tmp_path_factory):
    return random_qwen_edit(tmp_path_factory.mktemp("plus"), pipeline="QwenImageEditPlusPipeline")


def load(folder, **fields):
    return QwenEditPolicy.load(PolicyConfig(path=str(folder), size=64, rank=4, alpha=12, **fields), "cpu")


def perturb(policy, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in policy.trainable().values():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def sample(policy, prompts, seeds, sigmas):
    cond = policy.encode(prompts)
    x = policy.init_latents(cond, generators(*seeds))
    with torch.no_grad():
        for now, after in itertools.pairwise(sigmas):
            x = x + (after - now) * policy.velocity(x, now, cond)
    return x


def latents_of(pipeline, policy, prompt, monkeypatch):
    """Latents by the pipeline, from the policy's reading of the instruction, and by the policy."""
    for module, end in ((pipeline_qwenimage_edit, (None,)), (pipeline_qwenimage_edit_plus, ())):
        monkeypatch.setattr(
            module, "calculate_dimensions", lambda area, ratio, end=end: (*fitting(_picture(prompt), 64), *end)
        )
    cond, options = policy.encode([prompt]), {}
    if policy.config.true_cfg > 1:
        options["negative_prompt_embeds"] = cond.tensors["empty_prompt_embeds"]
        options["negative_prompt_embeds_mask"] = cond.tensors["empty_prompt_mask"].long()
    latents = pipeline(
        _picture(prompt),
        prompt_embeds=cond.tensors["prompt_embeds"],
        prompt_embeds_mask=cond.tensors["prompt_mask"].long(),
        true_cfg_scale=policy.config.true_cfg,
        num_inference_steps=3,
        generator=generators(5)[0],
        output_type="latent",
        **options,
    ).images
    return latents, sample(policy, [prompt], (5,), pipeline.scheduler.sigmas.tolist())


def _picture(prompt):
    return Image.open(io.BytesIO(prompt.source))


@pytest.mark.parametrize("prompt", [RED, WIDE], ids=["square", "wide"])
def test_an_ode_over_the_policy_gives_the_pipelines_latents(folder, prompt, monkeypatch):
    pipeline = QwenImageEditPipeline.from_pretrained(folder, processor=None)
    theirs, ours = latents_of(pipeline, load(folder), prompt, monkeypatch)
    torch.testing.assert_close(ours, theirs)
    policy = load(folder)
    assert policy.decode(ours, policy.encode([prompt]))[0].size == ((64, 64) if prompt is RED else (128, 32))


def test_true_guidance_gives_the_pipelines_latents(folder, monkeypatch):
    pipeline = QwenImageEditPipeline.from_pretrained(folder, processor=None)
    policy = load(folder, true_cfg=4.0)
    theirs, ours = latents_of(pipeline, policy, RED, monkeypatch)
    torch.testing.assert_close(ours, theirs)
    plain = sample(load(folder), [RED], (5,), pipeline.scheduler.sigmas.tolist())
    assert not torch.allclose(ours, plain, atol=1e-2)


def test_an_ode_over_the_policy_gives_the_plus_pipelines_latents(plus, monkeypatch):
    pipeline = QwenImageEditPlusPipeline.from_pretrained(plus, processor=None)
    theirs, ours = latents_of(pipeline, load_policy(PolicyConfig(path=str(plus), size=64), "cpu"), RED, monkeypatch)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("pipeline", [QwenImageEditPipeline, QwenImageEditPlusPipeline])
def test_instructions_are_read_as_the_pipeline_reads_them(folder, plus, pipeline):
    """The whole processor is stood in for by what it does; the model gets the token types the pipeline forgets."""
    policy = load(plus if pipeline is QwenImageEditPlusPipeline else folder)
    genuine = pipeline.from_pretrained(plus if pipeline is QwenImageEditPlusPipeline else folder, processor=None)

    class Features(dict):
        def to(self, device):
            return self

    def processor(text, images, padding, return_tensors):
        patches = policy.processor(images=[images] if isinstance(images, Image.Image) else images, return_tensors="pt")
        count = int(patches["image_grid_thw"].prod()) // 4
        tokens = genuine.tokenizer(text[0].replace("<|image_pad|>", "<|image_pad|>" * count), return_tensors="pt")
        return Features({**tokens, **patches})

    forward = genuine.text_encoder.forward

    def with_types(input_ids, **others):
        types = (input_ids == genuine.text_encoder.config.image_token_id).int()
        return forward(input_ids=input_ids, mm_token_type_ids=types, **others)

    genuine.register_modules(processor=processor)
    genuine.text_encoder.forward = with_types
    prefix = genuine.prompt_template_encode.partition("user\n")
    genuine.prompt_template_encode_start_idx = len(genuine.tokenizer(prefix[0] + prefix[1])["input_ids"])
    with torch.no_grad():
        theirs, _ = genuine.encode_prompt(RED.text, [_picture(RED)], device="cpu")
    torch.testing.assert_close(policy.encode([RED]).tensors["prompt_embeds"], theirs)


def test_shorter_instructions_are_padded_without_being_changed(folder):
    policy = load(folder)
    cond = policy.encode([RED, GREEN])
    alone = policy.encode([GREEN])
    length = alone.tensors["prompt_embeds"].shape[1]
    assert cond.tensors["prompt_mask"].sum(1).tolist() == [length + 1, length]
    x = policy.init_latents(cond, generators(0, 1))
    with torch.no_grad():
        both = policy.velocity(x, 0.6, cond)
        torch.testing.assert_close(both[1:], policy.velocity(x[1:], 0.6, alone), atol=1e-5, rtol=1e-4)


def test_the_source_matters_to_the_velocity(folder):
    policy = load(folder)
    other = Prompt("e4", RED.text, GREEN.source)
    cond = policy.encode([RED, other])
    x = policy.init_latents(cond, generators(0, 0))
    assert torch.equal(x[0], x[1])
    assert cond.tensors["source"].shape == (2, 16, 16)
    with torch.no_grad():
        v = policy.velocity(x, 0.6, cond)
    assert v.shape == x.shape
    assert not torch.allclose(v[0], v[1], atol=1e-5)


def test_latents_are_taken_back_to_the_vaes_own_mean_and_spread(folder):
    policy = load(folder)
    cond = policy.encode([WIDE])
    tokens = 5 * policy.init_latents(cond, generators(0))
    mean, std = torch.tensor([0.1, -0.2, 0.3, 0.0]), torch.tensor([0.5, 1.0, 1.5, 2.0])
    z = QwenImageEditPipeline._unpack_latents(tokens, 32, 128, 8) * std.view(-1, 1, 1, 1) + mean.view(-1, 1, 1, 1)
    with torch.no_grad():
        pixels = policy.vae.decode(z).sample[0, :, 0]
    picture = np.asarray(policy.decode(tokens, cond)[0])
    assert np.ptp(picture) > 10
    assert np.array_equal(picture, ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0).numpy())


def test_the_exported_adapter_is_the_trained_one_in_a_fresh_pipeline(folder, tmp_path, monkeypatch):
    policy = load(folder)
    perturb(policy)
    policy.export(tmp_path)
    pipeline = QwenImageEditPipeline.from_pretrained(folder, processor=None)
    pipeline.load_lora_weights(tmp_path)
    theirs, ours = latents_of(pipeline, policy, RED, monkeypatch)
    torch.testing.assert_close(ours, theirs)
    cond = policy.encode([RED])
    x = policy.init_latents(cond, generators(0))
    with torch.no_grad():
        trained = policy.velocity(x, 0.5, cond)
        with policy.reference():
            assert not torch.allclose(policy.velocity(x, 0.5, cond), trained, atol=1e-3)
        policy.transformer = pipeline.transformer
        torch.testing.assert_close(policy.velocity(x, 0.5, cond), trained)


def test_recomputing_activations_changes_no_gradient(folder):
    grads = []
    for share in (0.0, 0.5, 1.0):
        policy = load(folder, checkpointing=share, true_cfg=2.0)
        perturb(policy)
        cond = policy.encode([RED, GREEN])
        policy.velocity(policy.init_latents(cond, generators(0, 1)), 0.7, cond).square().sum().backward()
        grads.append(torch.cat([parameter.grad.flatten() for parameter in policy.trainable().values()]))
    assert grads[0].abs().max() > 0
    assert torch.equal(grads[0], grads[1])
    assert torch.equal(grads[0], grads[2])


def test_sources_of_several_sizes_make_no_batch(folder):
    policy = load(folder)
    with pytest.raises(ValueError, match=r"several sizes \(e1: 64x64, e3: 128x32\): set batch to 1"):
        policy.encode([RED, WIDE])
    assert policy.encode([WIDE, WIDE]).size == (32, 128)


def test_edits_without_a_readable_source_are_refused(folder, tmp_path):
    policy = load(folder)
    with pytest.raises(ValueError, match=r"prompt e9 .* has no source image"):
        policy.encode([Prompt("e9", "remove the circle")])
    with pytest.raises(ValueError, match=r"prompt e9: .*none\.png does not exist"):
        policy.encode([Prompt("e9", "remove the circle", str(tmp_path / "none.png"))])


def test_encoded_edits_outlive_the_encoder_and_new_ones_are_refused(folder):
    policy = load(folder)
    policy.prepare([RED])
    assert policy.pipeline.text_encoder is None
    assert len(policy.encode([RED])) == 1
    with pytest.raises(ValueError, match=r"prompt e2 .* is new"):
        policy.encode([GREEN])


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(1024, 1024, (512, 512)), (1600, 900, (672, 384)), (900, 1600, (384, 672)), (3000, 10, (8864, 32))],
)
def test_pictures_keep_their_aspect_ratio_at_the_size_asked_for(width, height, expected):
    assert fitting(Image.new("L", (width, height)), 512) == expected


def test_what_a_folder_holds_decides_on_the_policy(folder, tmp_path):
    assert isinstance(load_policy(PolicyConfig(path=str(folder), size=64), "cpu"), QwenEditPolicy)
    assert isinstance(load_policy(PolicyConfig(path=str(random_flux(tmp_path)), size=64), "cpu"), FluxPolicy)


def test_a_path_that_is_no_pipeline_says_what_to_pass(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"has no model_index\.json: pass the folder of a saved diffusers pipeline"):
        load_policy(PolicyConfig(path=str(tmp_path)), "cpu")
    (tmp_path / "model_index.json").write_text('{"_class_name": "SanaPipeline"}')
    with pytest.raises(ValueError, match="is a SanaPipeline; FluxPipeline, "):
        load_policy(PolicyConfig(path=str(tmp_path)), "cpu")
    with pytest.raises(ValueError, match="'no/such/thing' is no folder here"):
        load_policy(PolicyConfig(path="no/such/thing"), "cpu")
