import json

import pytest
import torch
from diffusers import FluxTransformer2DModel
from safetensors.torch import save_file

from workbench.rpo.config import PolicyConfig
from workbench.rpo.policies import adapter


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def transformer():
    torch.manual_seed(0)
    return FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        axes_dims_rope=(2, 2, 4),
    )


def attached(seed=0, **fields):
    model = transformer()
    adapter.attach(model, PolicyConfig(path="x", **{"rank": 4, "alpha": 12, **fields}), seed=seed)
    return model


def is_on(model):
    return all(not module.disable_adapters for module in adapter._layers(model))


def test_the_adapter_starts_as_nothing_from_a_seed_and_alone_is_trained():
    one, same, other = attached(), attached(), attached(seed=1)
    values = adapter.parameters(one)
    assert len(values) == 2 * (4 + 3)
    for name, value in values.items():
        assert value.requires_grad
        assert torch.equal(value, adapter.parameters(same)[name])
        is_a = ".lora_A." in name
        assert torch.equal(value, adapter.parameters(other)[name]) == (not is_a)
        assert bool(value.any()) == is_a
    spread = torch.cat([value.flatten() for name, value in values.items() if ".lora_A." in name]).std()
    assert spread.item() == pytest.approx(1 / 4, rel=0.15)
    assert sum(parameter.requires_grad for parameter in one.parameters()) == len(values)


def test_a_target_that_ends_no_layer_is_refused_with_what_there_is():
    with pytest.raises(
        ValueError, match=r"policy\.targets: 'to_qq' ends no layer of FluxTransformer2DModel; its: .*"
    ) as e:
        attached(targets=("to_k", "to_qq"))
    for name in ("attn.to_q", "attn.to_out.0", "ff.net.2", "proj_mlp", "proj_out"):
        assert f" {name}," in str(e.value)
    assert "transformer_blocks.0" not in str(e.value)


def test_the_adapter_comes_back_on_whatever_happens():
    model = attached()

    def fail():
        with adapter.disabled(model):
            assert not is_on(model)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert is_on(model)
    with adapter.disabled(model):
        with adapter.disabled(model):
            assert not is_on(model)
        assert not is_on(model)
    assert is_on(model)
    assert all(parameter.requires_grad for parameter in adapter.parameters(model).values())


def test_a_state_is_a_copy_and_only_fits_the_same_layers():
    model = attached()
    state = adapter.state(model)
    for parameter in adapter.parameters(model).values():
        parameter.data.add_(1)
    adapter.load_state(model, state)
    assert all(torch.equal(parameter, state[name]) for name, parameter in adapter.parameters(model).items())
    with pytest.raises(ValueError, match=r"the saved adapter has no single_.*\(6 names differ\): .*policy\.targets"):
        adapter.load_state(model, {name: value for name, value in state.items() if "single" not in name})
    with pytest.raises(ValueError, match=r"has a transformer_blocks\.0\.extra"):
        adapter.load_state(model, state | {"transformer_blocks.0.extra": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"is \(8, 16\), not \(4, 16\): choose the same policy\.rank"):
        adapter.load_state(model, adapter.state(attached(rank=8)))
    assert all(torch.equal(parameter, state[name]) for name, parameter in adapter.parameters(model).items())


def released(folder, state, prefix="base_model.model.", **config):
    """An adapter folder in PEFT's layout."""
    save_file({f"{prefix}{name}": value for name, value in state.items()}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 12, **config}))


@pytest.mark.parametrize("prefix", ["base_model.model.", "base_model.model.transformer.", "transformer.", ""])
def test_adapters_in_pefts_layout_are_read(tmp_path, prefix):
    source, model = attached(seed=3), attached()
    for parameter in adapter.parameters(source).values():
        parameter.data.add_(0.5)
    released(tmp_path, adapter.state(source), prefix)
    adapter.load(model, tmp_path)
    assert all(
        torch.equal(value, adapter.parameters(source)[name]) for name, value in adapter.parameters(model).items()
    )


def test_adapters_in_diffusers_layout_are_read(tmp_path):
    from diffusers import FluxPipeline

    source, model = attached(seed=3), attached()
    FluxPipeline.save_lora_weights(
        tmp_path, adapter.state(source), transformer_lora_adapter_metadata=adapter.metadata(source)
    )
    adapter.load(model, tmp_path)
    assert all(
        torch.equal(value, adapter.parameters(source)[name]) for name, value in adapter.parameters(model).items()
    )


def test_adapters_of_another_rank_or_alpha_or_without_tensors_are_refused(tmp_path):
    model = attached()
    released(tmp_path, adapter.state(model), lora_alpha=8)
    with pytest.raises(ValueError, match=r"rank 4 and alpha 8, but the run has rank 4 and alpha 12: set policy\.rank"):
        adapter.load(model, tmp_path)
    released(tmp_path, {}, "")
    with pytest.raises(ValueError, match="holds no tensor; ARR's own training code wrote such files"):
        adapter.load(model, tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"no LoRA can be read \(.*\); wanted is adapter_model\.safetensors with"):
        adapter.load(model, tmp_path)
    with pytest.raises(ValueError, match="no LoRA can be read"):
        adapter.load(model, tmp_path / "none")
