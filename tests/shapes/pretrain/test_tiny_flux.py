"""The tiny text-to-image policy: how it is built, and the one that is committed."""

import re
from collections.abc import Iterator
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workbench.shapes.grammar import parse_prompt
from workbench.shapes.pretrain import autoencoder, tiny_flux, vae
from workbench.shapes.pretrain.accuracy import accuracy, right
from workbench.shapes.pretrain.flow import FlowSettings
from workbench.shapes.small_world import picture, prompts, t2i_scenes

FOLDER = Path(__file__).parents[3] / "data/models/tiny_flux"

pytestmark = [
    # PyTorch says that RMS norms of bfloat16 with float32 weights take its slower way
    pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning"),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def committed() -> Any:
    return tiny_flux.load(FOLDER)


def test_tokens_are_words_and_every_prompt_fits() -> None:
    tokenizer = tiny_flux.build_tokenizer()
    for prompt in prompts("test", 300, 0):
        ids = tokenizer(prompt).input_ids
        assert ids[-1] == tiny_flux.END
        assert len(ids) == len(prompt.split()) + 1 <= tiny_flux.TEXT_TOKENS
        assert tiny_flux.UNKNOWN not in ids
        assert tokenizer(prompt.capitalize() + ".").input_ids == ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == prompt
    assert tiny_flux.UNKNOWN in tokenizer("a red elephant").input_ids


def test_a_few_steps_reduce_the_loss_and_reach_the_text_encoders() -> None:
    pipeline = tiny_flux.build_pipeline(vae.build_vae().eval(), 0)
    before = pipeline.text_encoder.text_model if hasattr(pipeline.text_encoder, "text_model") else pipeline.text_encoder
    clip, t5 = next(before.parameters()).clone(), pipeline.text_encoder_2.shared.weight.clone()
    scenes = t2i_scenes(32, 0, "train")
    latents = torch.randn(32, 8, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.1 + 1
    settings = FlowSettings(15, batch=32, warm_up=3)
    losses = tiny_flux.train(pipeline, [each.prompt for each in scenes], latents, settings, 0)
    assert np.mean(losses[-3:]) < 0.9 * losses[0]
    assert not torch.equal(clip, next(before.parameters()))
    assert not torch.equal(t5, pipeline.text_encoder_2.shared.weight)


def test_a_few_steps_of_the_autoencoder_reduce_its_loss_and_latents_are_normal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(autoencoder, "BATCH", 8)
    pictures = np.stack([picture(each.scene) for each in t2i_scenes(48, 0, "train")])
    trained = vae.train_vae(pictures, 15, 0)

    def loss(model: Any) -> float:
        def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            posterior = model.encode(x).latent_dist
            return posterior.mean, posterior.logvar

        return autoencoder._loss(moments, lambda z: model.decode(z).sample, autoencoder.to_unit(pictures)).item()

    torch.manual_seed(0)
    assert loss(trained) < 0.9 * loss(vae.build_vae())
    latents = vae.encode(trained, pictures)
    assert latents.shape == (48, 8, 8, 8)
    assert latents.mean() == pytest.approx(0, abs=1e-3)
    assert latents.std() == pytest.approx(1, abs=1e-3)
    assert vae.decode(trained, latents).shape == pictures.shape


def test_committed_files_are_small_float16_and_run_no_code() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.suffix == ".safetensors" for path in files) == 4
    assert {path.suffix for path in files} == {".safetensors", ".json", ".md"}
    assert max(path.stat().st_size for path in files) < 10_000_000
    from safetensors import safe_open

    for path in FOLDER.rglob("*.safetensors"):
        with safe_open(path, "pt") as weights:
            assert {weights.get_slice(key).get_dtype() for key in weights.keys()} == {"F16"}  # noqa: SIM118


def test_committed_parts_are_fluxs_own(committed: Any) -> None:
    assert type(committed).__name__ == "FluxPipeline"
    names = {name: type(getattr(committed, name)).__name__ for name in (*tiny_flux.PARTS, "scheduler")}
    assert names == {
        "transformer": "FluxTransformer2DModel",
        "text_encoder": "CLIPTextModel",
        "text_encoder_2": "T5EncoderModel",
        "vae": "AutoencoderKL",
        "scheduler": "FlowMatchEulerDiscreteScheduler",
    }
    assert committed.scheduler.config.shift == 3.0
    assert not committed.scheduler.config.use_dynamic_shifting
    assert committed.vae_scale_factor == 8


def test_the_committed_pipeline_draws_the_same_picture_from_the_same_seed(committed: Any) -> None:
    asked = ["a red circle", "two blue squares above a green triangle"]
    first, again, other = (tiny_flux.draw(committed, asked, seed) for seed in (0, 0, 1))
    assert [image.size for image in first] == [(64, 64)] * 2
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True))
    assert first[0].tobytes() != other[0].tobytes()
    assert first[0].tobytes() != first[1].tobytes()


def test_committed_reconstructions_still_do_what_was_asked(committed: Any) -> None:
    share = vae.reconstructed(committed.vae, 150, 3)
    assert share.value is not None
    assert share.value > 0.95


def test_the_cards_accuracy_is_found_again(committed: Any) -> None:
    """On 40 of the card's pictures, a count that the card's share makes at all likely (1 in 1,000 either way)."""
    stated = re.search(r"\| fully right \| ([\d.]+)%", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert stated is not None
    share, n = float(stated[1]) / 100, 40
    chosen = prompts("test", n, 0)
    pictures = tiny_flux.draw(committed, chosen, 0)
    found = sum(all(right(prompt, image).values()) for prompt, image in zip(chosen, pictures, strict=True))
    chances = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    assert min(sum(chances[: found + 1]), sum(chances[found:])) > 0.001


def test_accuracy_counts_pictures_that_are_wholly_right_and_refuses_repeated_prompts() -> None:
    drawn = t2i_scenes(12, 4, "dev")
    by_prompt = {each.prompt: each.scene for each in drawn}
    some = list(by_prompt)
    from PIL.Image import fromarray

    def perfect(asked: Any, seed: int) -> list[Any]:
        return [fromarray(picture(by_prompt[prompt])) for prompt in asked]

    def shifted(asked: Any, seed: int) -> list[Any]:
        return perfect([*asked[1:], asked[0]], seed)

    everything = accuracy(some, perfect, right, [0, 1])
    assert everything["fully right"].value == 1
    assert everything["fully right"].n == 2 * len(some)
    assert everything["relation"].n == 2 * sum(parse_prompt(each).relation is not None for each in some)
    assert accuracy(some, shifted, right, [0])["fully right"].value < 0.2
    with pytest.raises(ValueError, match=r"1 of \d+ are repeated"):
        accuracy([*some, some[0]], perfect, right, [0])
