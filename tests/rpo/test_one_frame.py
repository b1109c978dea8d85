"""Single pictures without what an autoencoder of videos does for time: the same numbers, and videos as before."""

import pytest
import torch
from diffusers import AutoencoderKLQwenImage

from workbench.rpo.policies.one_frame import take_one_frame


@pytest.fixture
def vae() -> AutoencoderKLQwenImage:
    """With temporal down- and upsampling, as Qwen-Image's."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return AutoencoderKLQwenImage(base_dim=8, z_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1).eval()


@pytest.mark.parametrize("frames", [1, 5], ids=["a picture", "a video"])
@torch.no_grad()
def test_latents_and_pictures_are_what_they_were(vae: AutoencoderKLQwenImage, frames: int) -> None:
    x = torch.rand(2, 3, frames, 32, 32) * 2 - 1
    before = vae.encode(x).latent_dist.mean
    drawn = vae.decode(before).sample
    take_one_frame(vae)
    torch.testing.assert_close(vae.encode(x).latent_dist.mean, before, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(vae.decode(before).sample, drawn, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_other_slices_of_a_filter_are_not_looked_at(vae: AutoencoderKLQwenImage) -> None:
    take_one_frame(vae)
    x = torch.rand(1, 3, 1, 32, 32)
    before = vae.encode(x).latent_dist.mean
    for each in vae.encoder.parameters():
        if each.ndim == 5 and each.shape[2] == 3:
            each[:, :, :2] = torch.nan
    assert torch.equal(vae.encode(x).latent_dist.mean, before)
