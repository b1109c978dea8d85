import itertools

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline
from tiny_pipelines import random_flux

from workbench.rpo.config import PolicyConfig
from workbench.rpo.policies import adapter
from workbench.rpo.policies.flux import FluxPolicy
from workbench.rpo.policies.latents import pack, positions, to_picture, to_tensor, unpack
from workbench.rpo.policy import Cond, Prompt

CIRCLE, SQUARE = Prompt("p1", "a red circle"), Prompt("p2", "two blue squares above a green circle")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_flux(tmp_path_factory.mktemp("flux"))


def load(folder, **fields):
    return FluxPolicy.load(PolicyConfig(path=str(folder), size=64, rank=4, alpha=12, **fields), "cpu")


def perturb(policy, seed=0):
    """An adapter that does something: B is no longer zero."""
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


@pytest.mark.parametrize("guidance_embeds", [True, False])
def test_an_ode_over_the_policy_gives_the_pipelines_latents(tmp_path, guidance_embeds):
    folder = random_flux(tmp_path, guidance_embeds=guidance_embeds)
    policy = load(folder, guidance=2.5)
    pipeline = FluxPipeline.from_pretrained(folder)
    theirs = pipeline(
        [CIRCLE.text, SQUARE.text],
        height=64,
        width=64,
        num_inference_steps=3,
        guidance_scale=2.5,
        max_sequence_length=8,
        generator=generators(5, 6),
        output_type="latent",
    ).images
    ours = sample(policy, [CIRCLE, SQUARE], (5, 6), [*pipeline.scheduler.sigmas.tolist()])
    torch.testing.assert_close(ours, theirs)


def test_true_guidance_gives_the_pipelines_latents(folder):
    pipeline = FluxPipeline.from_pretrained(folder)
    theirs = pipeline(
        CIRCLE.text,
        negative_prompt="",
        true_cfg_scale=4.0,
        height=64,
        width=64,
        num_inference_steps=3,
        max_sequence_length=8,
        generator=generators(5),
        output_type="latent",
    ).images
    sigmas = pipeline.scheduler.sigmas.tolist()
    guided = sample(load(folder, true_cfg=4.0), [CIRCLE], (5,), sigmas)
    plain = sample(load(folder), [CIRCLE], (5,), sigmas)
    torch.testing.assert_close(guided, theirs)
    assert not torch.allclose(guided, plain, atol=1e-2)


def test_velocity_differentiates_only_the_adapter_and_only_the_prompted_branch(folder):
    policy = load(folder, true_cfg=3.0)
    plain = load(folder)
    perturb(policy)
    perturb(plain)
    grads = []
    for each in (policy, plain):
        cond = each.encode([CIRCLE])
        x = each.init_latents(cond, generators(0))
        each.velocity(x, 0.7, cond).sum().backward()
        assert all(
            parameter.requires_grad == (".lora_" in name) for name, parameter in each.transformer.named_parameters()
        )
        grads.append({name: parameter.grad for name, parameter in each.trainable().items()})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grad, 3 * grads[1][name])


def test_a_fresh_adapter_changes_nothing_and_the_reference_is_the_base(folder):
    policy = load(folder)
    base = FluxPipeline.from_pretrained(folder).transformer
    cond = policy.encode([CIRCLE])
    x = policy.init_latents(cond, generators(0))
    with torch.no_grad():
        expected = base(
            hidden_states=x,
            timestep=torch.tensor([0.9]),
            guidance=torch.tensor([3.5]),
            pooled_projections=cond.tensors["pooled_prompt_embeds"],
            encoder_hidden_states=cond.tensors["prompt_embeds"],
            txt_ids=torch.zeros(8, 3),
            img_ids=FluxPipeline._prepare_latent_image_ids(1, 4, 4, "cpu", torch.float32),
        ).sample
        assert torch.equal(policy.velocity(x, 0.9, cond), expected)
        perturb(policy)
        assert not torch.allclose(policy.velocity(x, 0.9, cond), expected, atol=1e-4)
        with policy.reference():
            assert torch.equal(policy.velocity(x, 0.9, cond), expected)


def test_latents_are_taken_back_to_the_vaes_scale(folder):
    policy = load(folder)
    cond = policy.encode([CIRCLE])
    tokens = 5 * policy.init_latents(cond, generators(0))
    z = FluxPipeline._unpack_latents(tokens, 64, 64, 8) / 0.3611 + 0.1159
    with torch.no_grad():
        pixels = policy.vae.decode(z).sample[0]
    picture = np.asarray(policy.decode(tokens, cond)[0])
    assert np.ptp(picture) > 10
    assert np.array_equal(picture, ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0).numpy())


def test_the_exported_adapter_is_the_trained_one_in_a_fresh_pipeline(folder, tmp_path):
    policy = load(folder)
    perturb(policy)
    policy.export(tmp_path)
    pipeline = FluxPipeline.from_pretrained(folder)
    pipeline.load_lora_weights(tmp_path)
    cond = policy.encode([CIRCLE])
    x = policy.init_latents(cond, generators(0))
    with torch.no_grad():
        trained = policy.velocity(x, 0.5, cond)
        policy.transformer = pipeline.transformer
        torch.testing.assert_close(policy.velocity(x, 0.5, cond), trained)


def test_recomputing_activations_changes_no_gradient(folder):
    grads = []
    for share in (0.0, 0.5, 1.0):
        policy = load(folder, checkpointing=share)
        perturb(policy)
        cond = policy.encode([CIRCLE, SQUARE])
        policy.velocity(policy.init_latents(cond, generators(0, 1)), 0.7, cond).square().sum().backward()
        grads.append(torch.cat([parameter.grad.flatten() for parameter in policy.trainable().values()]))
    assert grads[0].abs().max() > 0
    assert torch.equal(grads[0], grads[1])
    assert torch.equal(grads[0], grads[2])


def test_encoded_prompts_outlive_the_encoders_and_new_ones_are_refused(folder):
    policy = load(folder)
    before = policy.encode([SQUARE])
    policy.prepare([CIRCLE, SQUARE])
    assert policy.pipeline.text_encoder is None
    assert policy.pipeline.text_encoder_2 is None
    after = policy.encode([CIRCLE, SQUARE]).select([1])
    assert all(torch.equal(before.tensors[name], after.tensors[name]) for name in before.tensors)
    with pytest.raises(ValueError, match=r"prompt p9 \('a triangle'\) is new"):
        policy.encode([Prompt("p9", "a triangle")])


def test_noise_is_each_samples_own(folder):
    policy = load(folder)
    cond = policy.encode([CIRCLE, CIRCLE])
    both = policy.init_latents(cond, generators(1, 2))
    assert both.shape == (2, 16, 16)
    assert torch.equal(policy.init_latents(cond.select([0]), generators(2))[0], both[1])


def test_a_size_the_model_cannot_draw_is_refused(folder):
    with pytest.raises(ValueError, match=r"policy\.size=72 is not a multiple of 16"):
        FluxPolicy.load(PolicyConfig(path=str(folder), size=72), "cpu")


def test_half_precision_keeps_the_adapter_in_float32(folder):
    policy = FluxPolicy.load(PolicyConfig(path=str(folder), size=64), "cpu", dtype=torch.bfloat16)
    perturb(policy)
    cond = policy.encode([CIRCLE])
    v = policy.velocity(policy.init_latents(cond, generators(0)), 0.5, cond)
    v.sum().backward()
    assert v.dtype == torch.float32
    assert {each.dtype for each in policy.trainable().values()} == {torch.float32}
    assert {each.grad.dtype for each in policy.trainable().values()} == {torch.float32}
    assert policy.transformer.proj_out.weight.dtype == torch.bfloat16
    assert policy.decode(v.detach(), cond)[0].size == (64, 64)


def test_packing_is_the_pipelines():
    latents = torch.randn(2, 4, 6, 10)
    tokens = pack(latents)
    assert torch.equal(tokens, FluxPipeline._pack_latents(latents, 2, 4, 6, 10))
    assert torch.equal(unpack(tokens, 6, 10), latents)
    assert torch.equal(positions(3, 5), FluxPipeline._prepare_latent_image_ids(2, 3, 5, "cpu", torch.float32))


def test_pictures_and_pixels():
    pixels = torch.tensor([-1.0, 0.2, 1.0]).view(3, 1, 1).expand(3, 2, 4)
    picture = to_picture(pixels)
    assert picture.size == (4, 2)
    assert picture.getpixel((3, 1)) == (0, 153, 255)
    torch.testing.assert_close(to_tensor(picture), pixels, atol=1 / 255, rtol=0)
    with pytest.raises(FloatingPointError, match="1 of 24 values to NaN or Inf"):
        to_picture(torch.where(torch.arange(24).view(3, 2, 4) == 7, torch.nan, pixels))


def test_an_adapters_state_restores_it(folder):
    policy, other = load(folder), load(folder)
    perturb(policy)
    adapter.load_state(other.transformer, adapter.state(policy.transformer))
    assert all(torch.equal(value, other.trainable()[name]) for name, value in policy.trainable().items())
    assert isinstance(policy.encode([CIRCLE]), Cond)
