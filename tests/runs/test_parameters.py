from pathlib import Path

import pytest

from workbench.runs.parameters import differing, looks_secret, run_id, storable


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apiKey",
        "OPENAI_API_KEY",
        "hf_token",
        "HF-TOKEN",
        "password",
        "db_passwd",
        "client_secret",
        "Authorization",
    ],
)
def test_secret_names_are_refused_wherever_they_stand(name):
    assert looks_secret(name)
    with pytest.raises(ValueError, match=r"looks like a secret.*OPENAI_API_KEY"):
        storable({"judge": {"settings": [{name: "x"}]}})


@pytest.mark.parametrize("name", ["max_tokens", "output_tokens", "cache_key", "keys", "tokenizer", "author", "monkey"])
def test_harmless_names_are_stored(name):
    assert storable({name: 5}) == {name: 5}


@pytest.mark.parametrize(
    "value",
    ["sk-abcdefghijklmnop1234", "hf_abcdefghijklmnopqrstuv", "Bearer abcdefgh123", "https://me:pass@host/v1"],
)
def test_values_that_look_like_keys_are_refused(value):
    with pytest.raises(ValueError, match="parameter 'note' contains what looks like a key") as caught:
        storable({"note": f"use {value}"})
    assert value not in str(caught.value)


def test_the_value_of_a_secret_environment_variable_is_refused(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "quite-unusual-key")
    with pytest.raises(ValueError, match="the value of the environment variable OPENAI_API_KEY") as caught:
        storable({"extra": ["x", {"y": "is quite-unusual-key here"}]})
    assert "quite-unusual-key" not in str(caught.value)


def test_paths_become_relative_to_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert storable({"pairs": tmp_path / "data" / "pairs.jsonl"}) == {"pairs": "data/pairs.jsonl"}
    assert storable({"pairs": str(tmp_path.parent / "pairs.jsonl")}) == {"pairs": "../pairs.jsonl"}
    assert storable({"prompt": "/imagine a cat"}) == {"prompt": "/imagine a cat"}


def test_no_user_name_is_stored_for_paths_below_home(tmp_path, monkeypatch):
    (tmp_path / "alice").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "alice")
    monkeypatch.chdir(tmp_path / "work")
    assert storable({"pairs": tmp_path / "alice" / "pairs.jsonl"}) == {"pairs": "~/pairs.jsonl"}


def test_what_json_cannot_hold_is_named():
    with pytest.raises(ValueError, match=r"'a\.b' is .* of type set"):
        storable({"a": {"b": {1, 2}}})
    with pytest.raises(ValueError, match="'x' is nan"):
        storable({"x": float("nan")})


def test_the_run_id_is_readable_and_depends_on_every_input_but_not_their_order():
    inputs = {"dataset": {"name": "shapes", "hash": "1"}, "seed": 0}
    name = run_id("evaluate", ["shapes-t2i", "Hand written!"], inputs)
    assert name.startswith("evaluate-shapes-t2i-hand-written-")
    assert name == run_id("evaluate", ["shapes-t2i", "Hand written!"], dict(reversed(inputs.items())))
    assert name != run_id("evaluate", ["shapes-t2i", "Hand written!"], {**inputs, "seed": 1})


@pytest.mark.parametrize("hostile", ["../../etc/passwd", "a/b", "..", "", "x" * 500, "naïve\n猫"])
def test_the_run_id_is_always_one_plain_folder_name(hostile):
    name = run_id("evaluate", [hostile], {})
    assert "/" not in name
    assert ".." not in name
    assert name.isascii()
    assert len(name) < 60


def test_differing_keys_are_dotted():
    old, new = {"a": {"x": 1, "y": 2}, "b": [1]}, {"a": {"x": 1, "y": 3}, "c": None, "b": [1], "d": 4}
    assert list(differing(old, new)) == [("a.y", 2, 3), ("d", None, 4)]
