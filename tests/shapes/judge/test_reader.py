"""What readers of criteria make of people's and of writers' sentences."""

import re
from collections import Counter
from importlib.resources import files

import numpy as np
import pytest
import yaml

from workbench.shapes.attributes import attributes
from workbench.shapes.judge.reader import read_criterion
from workbench.shapes.judge.settings import Vocabulary
from workbench.shapes.judge.writer import phrase, writer_words
from workbench.shapes.rule import CLAUSES

FULL = Vocabulary()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The number of objects matches the caption.", {"count": 1}),
        ("Colours are as described", {"color": 1}),
        ("No visible specks", {"cleanness": 1}),
        ("No specks, grain or noise.", {"cleanness": 1}),
        ("Noise-free surfaces", {"cleanness": 1}),
        ("Soft, dreamy edges", {"sharpness": -1}),
        ("Crisp rather than blurry", {"sharpness": 1}),
        ("The image isn't blurry.", {"sharpness": 1}),
        ("Without losing sharpness", {"sharpness": 1}),
        ("The better image is less sharp", {"sharpness": -1}),
        ("Nothing is missing", {"presence": 1}),
        ("The number of objects is wrong", {"count": -1}),
        ("Penalise wrong colours", {"color": 1}),
        ("No object has another colour than asked for", {"color": 1}),
        ("The background is dark and moody", {"brightness": -1}),
        ("Not only sharp but also clean", {"sharpness": 1, "cleanness": 1}),
        ("No specks, crisp edges", {"sharpness": 1, "cleanness": 1}),
        ("The prompt is followed.", dict.fromkeys(("count", "color", "shape", "presence", "relation", "size"), 1)),
        ("The overall impression is beautiful.", {}),
        ("", {}),
    ],
)
def test_a_person_is_understood(text: str, expected: dict[str, int]) -> None:
    shares = read_criterion(text, "t2i", FULL).shares
    assert shares == pytest.approx({name: sign / len(expected) for name, sign in expected.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nothing but the requested change is altered", {"preservation": 1}),
        ("Everything not asked for stays untouched", {"preservation": 1}),
        ("No unintended changes", {"preservation": 1}),
        ("The edit does what was asked", {"instruction": 1}),
        ("The requested colour was applied", {"instruction": 1}),
    ],
)
def test_a_person_is_understood_about_edits(text: str, expected: dict[str, int]) -> None:
    assert read_criterion(text, "edit", FULL).shares == pytest.approx(expected)


def test_the_oracles_words_are_read_with_their_direction() -> None:
    for name, (more, less) in CLAUSES.items():
        task = "t2i" if name in attributes("t2i") else "edit"
        expected = {} if name == "leftward" else {name: 1.0}
        assert read_criterion(f"Prefer the picture {more}", task, FULL).shares == expected
        assert read_criterion(f"Prefer the picture {less}", task, FULL).shares == {k: -v for k, v in expected.items()}


def test_leftward_is_beyond_words() -> None:
    words = yaml.safe_load(files("workbench.shapes.judge").joinpath("reader_words.yaml").read_text(encoding="utf-8"))
    assert "leftward" not in words["cues"]
    assert "leftward" not in words["weak_cues"]
    assert "leftward" not in writer_words()["attributes"]
    for text in ("Objects lean to the left side", "The left half holds more", "A leftward pull"):
        assert "leftward" not in read_criterion(text, "t2i", FULL).shares


def test_a_reader_knows_the_plainest_words_and_a_part_of_the_others() -> None:
    synonyms = ("crisp", "focused", "defined", "legible", "distinct", "clear", "etched", "acute")
    known = Counter(
        not read_criterion(f"It is {word}.", "t2i", Vocabulary(seed=seed, unknown=0.3)).vague
        for seed in range(50)
        for word in synonyms
    )
    assert 0.6 < known[True] / known.total() < 0.8
    for seed in range(20):
        assert read_criterion("It is sharp.", "t2i", Vocabulary(seed=seed, unknown=1.0)).shares == {"sharpness": 1.0}
        assert read_criterion("It is crisp.", "t2i", Vocabulary(seed=seed, unknown=1.0)).vague


def _three_words(text: str) -> set[str]:
    words = re.findall(r"[a-z{}]+", text.lower())
    return {" ".join(words[i : i + 3]) for i in range(len(words) - 2)}


def test_reader_and_writer_share_no_phrase() -> None:
    reader = yaml.safe_load(files("workbench.shapes.judge").joinpath("reader_words.yaml").read_text(encoding="utf-8"))
    cues = [cue for poles in reader["cues"].values() for listed in poles.values() for cue in listed]
    cues += [cue for name in ("negations", "no_negations", "wrong_words", "fidelity_words") for cue in reader[name]]
    read = set().union(*(_three_words(cue.replace("*", "")) for cue in cues))
    words = writer_words()
    sentences = [
        text for about in words["attributes"].values() for pole in ("for", "against") for text in about.get(pole, ())
    ]
    sentences += [*words["vague"]["sentences"], *(each for listed in words["words"].values() for each in listed)]
    rng = np.random.default_rng(0)
    # Phrases may also arise as a synonym is put into a sentence.
    sentences += [
        phrase(name, 1 if pole == "for" else -1, FULL, rng)
        for name, about in words["attributes"].items()
        for pole in ("for", "against")
        if pole in about
        for _ in range(40)
    ]
    written = set().union(*(_three_words(text) for text in sentences))
    assert read, "no phrase of three words among the cues: nothing was compared"
    assert read & written == set()


def test_writers_are_mostly_understood_and_never_wholly(capsys: pytest.CaptureFixture[str]) -> None:
    right: Counter[tuple[str, str]] = Counter()
    misread: Counter[tuple[str, str]] = Counter()
    n = 0
    for task in ("t2i", "edit"):
        points = [
            (name, sign)
            for name, about in writer_words()["attributes"].items()
            for pole, sign in (("for", 1), ("against", -1))
            if pole in about and name in attributes(task)
        ]
        for seed in range(20):
            vocabulary = Vocabulary(seed=seed, unknown=0.3)
            rng = np.random.default_rng(seed)
            for name, sign in points:
                for _ in range(5):
                    shares = read_criterion(phrase(name, sign, vocabulary, rng), task, vocabulary).shares
                    understood = shares.get(name, 0.0) * sign > 0
                    right[name, f"{sign:+d}"] += understood
                    misread[name, f"{sign:+d}"] += bool(shares) and not understood
        n = 100
    tasks = {key: sum(key[0] in attributes(task) for task in ("t2i", "edit")) for key in right}
    shares = {key: right[key] / (n * tasks[key]) for key in right}
    wrong = sum(misread.values()) / (n * sum(tasks.values()))
    with capsys.disabled():
        print(f"\nwriters' sentences understood, 20 worlds, {n} sentences per pole and task; misread {wrong:.1%}")
        print(", ".join(f"{name} {pole} {share:.0%}" for (name, pole), share in sorted(shares.items())))
    assert 0.65 < np.mean(list(shares.values())) < 0.9
    assert all(0.5 < share < 1 for share in shares.values())
    assert wrong < 0.05
