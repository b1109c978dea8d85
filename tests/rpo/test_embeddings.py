import io
import json

import pytest
import torch
from PIL import Image
from tiny_pipelines import random_flux, random_qwen_edit

from workbench.rpo.config import PolicyConfig
from workbench.rpo.policies import embeddings
from workbench.rpo.policies.load import load_policy
from workbench.rpo.policy import Prompt
from workbench.rpo.prompts import read_prompts


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def flux(tmp_path_factory):
    return PolicyConfig(path=str(random_flux(tmp_path_factory.mktemp("flux"))), size=64)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return PolicyConfig(path=str(random_qwen_edit(tmp_path_factory.mktemp("qwen"))), size=64)


@pytest.fixture
def edits(tmp_path):
    for name, size in (("a.png", (64, 64)), ("b.png", (128, 32))):
        picture = Image.new("RGB", size, "red")
        picture.paste("blue", (8, 8, 24, 24))
        picture.save(tmp_path / name)
    texts = ("remove the red square", "paint it blue")
    return [Prompt(f"e{i}", text, str(tmp_path / f"{'ab'[i]}.png")) for i, text in enumerate(texts)]


TEXTS = [Prompt("1", "a red circle"), Prompt("2", "two squares"), Prompt("3", "a red circle")]


def encoders(policy):
    return [getattr(policy.pipeline, name) for name in policy.encoders]


def test_texts_come_back_as_they_were_encoded_without_text_encoders(flux, tmp_path):
    policy = load_policy(flux, "cpu")
    done = []
    assert embeddings.write(policy, TEXTS, tmp_path / "out", progress=done.append) == 2
    assert done == [1, 2]
    folder = embeddings.open_folder(tmp_path / "out", flux)
    without = load_policy(flux, "cpu", embeddings=folder)
    assert encoders(without) == [None, None]
    assert without.pipeline.tokenizer is None
    without.prepare(TEXTS)
    read, encoded = without.encode(TEXTS), policy.encode(TEXTS)
    assert read.size == encoded.size
    assert all(torch.equal(read.tensors[name], tensor) for name, tensor in encoded.tensors.items())
    with pytest.raises(ValueError, match=r"prompt 9 \('a cat'\) is not among those encoded in"):
        without.encode([Prompt("9", "a cat")])


def test_edits_come_back_as_they_were_encoded(qwen, edits, tmp_path):
    policy = load_policy(qwen, "cpu")
    embeddings.write(policy, edits, tmp_path / "out")
    prompts = read_prompts(tmp_path / "out" / "metadata.json", "edit")
    assert [(prompt.text, prompt.source) for prompt in prompts] == [(each.text, each.source) for each in edits]
    without = load_policy(qwen, "cpu", embeddings=embeddings.embeddings_of(tmp_path / "out" / "metadata.json", qwen))
    assert encoders(without) == [None]
    for ours, theirs in zip(prompts, edits, strict=True):
        read, encoded = without.encode([ours]), policy.encode([theirs])
        assert read.size == encoded.size
        x = policy.init_latents(encoded, [torch.Generator().manual_seed(0)])
        with torch.no_grad():
            assert torch.equal(without.velocity(x, 0.5, read), policy.velocity(x, 0.5, encoded))


def test_folders_have_arrs_names_and_shapes(flux, qwen, edits, tmp_path):
    embeddings.write(load_policy(flux, "cpu"), TEXTS, tmp_path / "t2i")
    embeddings.write(load_policy(qwen, "cpu"), edits, tmp_path / "edit")
    [first, second] = json.loads((tmp_path / "t2i" / "metadata.json").read_text())
    assert first == {
        "prompt_embed_path": "0.pt",
        "text_ids": "0.pt",
        "pooled_prompt_embeds_path": "0.pt",
        "caption": "a red circle",
    }
    assert second["caption"] == "two squares"

    def shape(*path):
        return tuple(torch.load(tmp_path.joinpath(*path), weights_only=True).shape)

    assert shape("t2i", "prompt_embed", "0.pt") == (8, 24)
    assert shape("t2i", "pooled_prompt_embeds", "0.pt") == (20,)
    assert shape("t2i", "text_ids", "0.pt") == (3,)
    wide = json.loads((tmp_path / "edit" / "metadata.json").read_text())[1]
    length = wide["original_length"]
    assert wide == {
        "prompt_embed_path": "1.pt",
        "caption": "paint it blue",
        "prompt_attention_mask": "1.pt",
        "image_latents": "1.pt",
        "source_image": edits[1].source,
        "original_length": length,
        "calculated_height": 32,
        "calculated_width": 128,
    }
    assert shape("edit", "prompt_embed", "1.pt") == (length, 32)
    assert shape("edit", "prompt_attention_mask", "1.pt") == (length,)
    assert shape("edit", "image_latents", "1.pt") == (4, 1, 4, 16)


def test_embeddings_filled_up_as_arr_does_are_cut(qwen, edits, tmp_path):
    policy = load_policy(qwen, "cpu")
    embeddings.write(policy, edits[:1], tmp_path / "out")
    path = tmp_path / "out" / "prompt_embed" / "0.pt"
    tensor = torch.load(path, weights_only=True)
    torch.save(torch.cat([tensor, tensor.new_zeros(5000 - len(tensor), 32)]), path)
    read = embeddings.open_folder(tmp_path / "out", qwen).read(edits[0])
    assert torch.equal(read.tensors["prompt_embeds"][0], tensor)


def test_a_broken_off_run_leaves_no_metadata_and_a_finished_one_is_not_overwritten(flux, tmp_path):
    policy = load_policy(flux, "cpu")

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embeddings.write(policy, TEXTS, tmp_path / "out", progress=stop)
    with pytest.raises(ValueError, match="is this a folder of embeddings"):
        embeddings.open_folder(tmp_path / "out", flux)
    embeddings.write(policy, TEXTS, tmp_path / "out")
    with pytest.raises(ValueError, match="holds embeddings already"):
        embeddings.write(policy, TEXTS, tmp_path / "out")


class Malicious:
    def __reduce__(self):
        return print, ("unpickled",)


def test_damaged_hostile_and_misfit_folders_are_refused(flux, qwen, edits, tmp_path, capsys):
    out = tmp_path / "out"
    embeddings.write(load_policy(flux, "cpu"), TEXTS, out)
    torch.save(torch.zeros(3), out / "prompt_embed" / "0.pt")
    with pytest.raises(ValueError, match=r"0\.pt holds \(3,\), wanted is a tensor of 2 dimensions"):
        embeddings.open_folder(out, flux).read(TEXTS[0])
    torch.save(Malicious(), out / "prompt_embed" / "0.pt")
    with pytest.raises(ValueError, match=r"0\.pt cannot be read"):
        embeddings.open_folder(out, flux).read(TEXTS[0])
    (out / "prompt_embed" / "1.pt").unlink()
    with pytest.raises(ValueError, match=r"1\.pt cannot be read .* encode the prompts again"):
        embeddings.open_folder(out, flux).read(TEXTS[1])
    (out / "metadata.json").write_text('[{"caption": "a", "prompt_embed_path": "../../secret.pt"}]')
    with pytest.raises(ValueError, match=r"0\.prompt_embed_path: must be the name of a file, without folders"):
        embeddings.open_folder(out, flux)
    assert "unpickled" not in capsys.readouterr().out
    embeddings.write(load_policy(qwen, "cpu"), edits, tmp_path / "edit")
    with pytest.raises(ValueError, match=r"was encoded for 64x64 pixels, policy\.size is 512"):
        embeddings.open_folder(tmp_path / "edit", PolicyConfig(path="x", size=512)).read(edits[0])
    with pytest.raises(ValueError, match=r"policy\.true_cfg=4 needs the text encoders"):
        load_policy(
            qwen.model_copy(update={"true_cfg": 4.0}), "cpu", embeddings=embeddings.open_folder(tmp_path / "edit", qwen)
        )
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    with pytest.raises(ValueError, match="prompt e7: its source is in memory"):
        embeddings.write(load_policy(qwen, "cpu"), [Prompt("e7", "a", buffer.getvalue())], tmp_path / "bytes")


def test_prompts_of_another_kind_bring_no_embeddings(flux, tmp_path):
    assert embeddings.embeddings_of(tmp_path / "prompts.txt", flux) is None
