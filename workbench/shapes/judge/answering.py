"""From a request that was understood to the tokens of an answer, flaws included."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.shapes.attributes import attributes
from workbench.shapes.judge import mind
from workbench.shapes.judge.chat import AnswerToken, split_tokens
from workbench.shapes.judge.eyes import Eyes
from workbench.shapes.judge.grouping import group_criteria
from workbench.shapes.judge.reader import Reading, read_criterion
from workbench.shapes.judge.reasons import describe, explain_ranks, reason_for_ranks
from workbench.shapes.judge.request_reading import Asked
from workbench.shapes.judge.settings import JudgeSettings
from workbench.shapes.judge.writer import Evidence, mentions, reword, write_criteria, writer_words

REFUSAL = "I'm sorry, but I can't help with that request."
EXEMPLAR_WEIGHT = 0.5
"""What an exemplar's rationale weighs in a judge's prompt, next to a criterion's 1."""
_PARAPHRASE = re.compile(r"\bparaphrase|\bin other words\b", re.IGNORECASE)
SCORE_SPREAD = 0.06
"""Uncertainty of a score, as a fraction of the scale."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is drawn; `seed` tells one sample from another."""

    temperature: float
    seed: str


@dataclass(frozen=True, slots=True)
class _Decided:
    """A value that was chosen among others, as JSON text with the probabilities of each."""

    chosen: str
    chances: Mapping[str, float]


def answer(settings: JudgeSettings, asked: Asked, eyes: Eyes, sampling: Sampling) -> list[AnswerToken]:
    """The tokens of one answer to a request."""
    about = [asked.kind, asked.prompt, str(asked.turns), sampling.seed, *(seen.name for seen in asked.candidates)]
    if not asked.candidates:
        about.append(asked.user)
    if mind.uniform("refusal", *about) < settings.refusals:
        return _plain(REFUSAL)
    if not asked.keys:
        return _plain(describe(asked.candidates))
    fields = _fields(settings, asked, eyes, sampling)
    if mind.uniform("broken", *about) < settings.broken_json:
        return _broken(fields, mind.uniform("how", *about))
    return _object(fields)


def _fields(settings: JudgeSettings, asked: Asked, eyes: Eyes, sampling: Sampling) -> dict[str, Any]:
    """The answer's values by key, in the order asked for."""
    match asked.kind:
        case "rank":
            known = _rank(settings, asked, eyes, sampling)
        case "score":
            known = _score(settings, asked, eyes, sampling)
        case "rubrics":
            known = _rubrics(settings, asked, eyes, sampling)
        case "categories":
            known = _categories(settings, asked)
        case "free":
            known = {}
    properties = asked.schema.get("properties", {})
    return {
        key: known[key] if key in known else _filled(properties.get(key, {}), describe(asked.candidates))
        for key in asked.keys
    }


def _readings(settings: JudgeSettings, asked: Asked) -> list[tuple[float, Reading]]:
    read = [(each.weight, read_criterion(each.text, asked.task, settings.vocabulary)) for each in asked.criteria]
    rationales = [(EXEMPLAR_WEIGHT, read_criterion(why, asked.task, settings.vocabulary)) for why in asked.rationales]
    return read + rationales


def _percept(settings: JudgeSettings, asked: Asked, eyes: Eyes) -> mind.Percept:
    satisfied = [eyes.satisfied(asked.task, asked.prompt, seen, asked.source) for seen in asked.candidates]
    names = [seen.name for seen in asked.candidates]
    captioned = [seen.captioned for seen in asked.candidates]
    return mind.perceive(settings, asked.task, satisfied, names, asked.prompt, captioned)


def _rank(settings: JudgeSettings, asked: Asked, eyes: Eyes, sampling: Sampling) -> dict[str, Any]:
    percept = _percept(settings, asked, eyes)
    attention = mind.attend(settings, asked.task, _readings(settings, asked))
    logits = mind.utilities(settings, attention, percept, asked.label)
    seed = "|".join([sampling.seed, asked.prompt, *(seen.name for seen in asked.candidates)])
    ranks = mind.choose_ranks(logits, ties=asked.ties, temperature=sampling.temperature, seed=seed)
    cited = reason_for_ranks(settings, asked.task, attention, percept, ranks)
    chances = mind.rank_probabilities(logits, ties=asked.ties)
    return {
        "reason": explain_ranks(cited, asked.task, percept, ranks, asked.prompt, asked.candidates),
        "criteria": _criterion_ranks(settings, asked, percept) if "criteria" in asked.keys else [],
        "rank": _Decided(json.dumps(ranks), {json.dumps(each): p for each, p in chances.items()}),
    }


def _criterion_ranks(settings: JudgeSettings, asked: Asked, percept: mind.Percept) -> list[dict[str, Any]]:
    """Ranks under each criterion alone, with the whole attention on it; ties where it does not decide."""
    item = asked.schema.get("properties", {}).get("criteria", {}).get("items", {}).get("properties", {})
    texts = {each.id: each.text for each in asked.criteria}
    found = []
    for name in item.get("id", {}).get("enum", list(texts)):
        reading = read_criterion(texts.get(name, ""), asked.task, settings.vocabulary)
        logits = mind.utilities(settings, mind.attend(settings, asked.task, [(1.0, reading)]), percept)
        found.append({"id": name, "rank": list(mind.choose_ranks(logits, ties=True, temperature=0, seed=""))})
    return found


def _score(settings: JudgeSettings, asked: Asked, eyes: Eyes, sampling: Sampling) -> dict[str, Any]:
    """The score of the first candidate: how much of what gets attention it has."""
    percept = _percept(settings, asked, eyes)
    attention = mind.attend(settings, asked.task, _readings(settings, asked))
    quality = mind.quality(settings, attention, percept)
    scale = asked.scale
    width = scale.high - scale.low
    grid = np.append(np.arange(scale.low, scale.high, scale.step), scale.high)
    logits = -(((grid - scale.low - width * quality) / max(SCORE_SPREAD * width, 1e-9)) ** 2) / 2
    index = mind.choose(logits, sampling.temperature, f"{sampling.seed}|{asked.prompt}|{asked.candidates[0].name}")
    chances = np.exp(logits - logits.max())
    chances /= chances.sum()
    texts = [f"{value:g}" for value in grid]
    reason = f"{describe(asked.candidates[:1])} It is {_grade(quality)} on what matters."
    return {"reason": reason, "score": _Decided(texts[index], dict(zip(texts, chances.tolist(), strict=True)))}


def _grade(quality: float) -> str:
    return ("poor", "fair", "good", "excellent")[min(3, int(4 * quality))]


def _rubrics(settings: JudgeSettings, asked: Asked, eyes: Eyes, sampling: Sampling) -> dict[str, Any]:
    if not asked.candidates and _PARAPHRASE.search(asked.system):
        rng = mind.generator("paraphrase", *(each.text for each in asked.listed))
        said = [reword(settings.vocabulary, asked.task, each.text, rng) for each in asked.listed]
        return {"rubrics": said, "reason": writer_words()["reasons"]["paraphrased"].format(given=len(said))}
    evidence = _evidence(settings, asked, eyes)
    # At temperature 0 the same request gets the same criteria.
    seed = sampling.seed if sampling.temperature > 0 else ""
    names = [seen.name for seen in asked.candidates]
    rng = mind.generator("writer", seed, asked.prompt, *names, *evidence.previous)
    texts, themes = write_criteria(settings, asked.task, evidence, asked.count, rng)
    words = writer_words()["reasons"]
    template = words["rubrics"] if asked.label else words["rubrics_blind"]
    reason = template.format(best=evidence.best, themes=", ".join(themes).lower() or "the overall impression")
    return {"rubrics": list(texts), "reason": reason}


def _evidence(settings: JudgeSettings, asked: Asked, eyes: Eyes) -> Evidence:
    """What sets the preferred candidate apart, as this writer sees it; its own taste where nobody says who won."""
    mentioned = mentions(asked.rationales, asked.task, settings.vocabulary)
    previous = tuple(each.text for each in asked.listed) if _is_revision(asked) else ()
    taste = mind.attend(settings, asked.task, ())
    if len(asked.candidates) < 2:
        own = dict(zip(attributes(asked.task), taste.weights.tolist(), strict=True))
        return Evidence(own, mentioned, previous)
    percept = _percept(settings, asked, eyes)
    ranks = asked.label or mind.choose_ranks(
        mind.utilities(settings, taste, percept), ties=False, temperature=0, seed=""
    )
    best, worst = int(np.argmin(ranks)), int(np.argmax(ranks))
    others = np.delete(percept.values, best, axis=0).mean(axis=0)
    differences = dict(zip(attributes(asked.task), (percept.values[best] - others).tolist(), strict=True))
    if min(ranks) == max(ranks):
        differences = dict.fromkeys(differences, 0.0)
    return Evidence(differences, mentioned, previous, best + 1, worst + 1)


def _is_revision(asked: Asked) -> bool:
    text = asked.user.lower()
    return "reject" in text or "feedback" in text or "previous criteria" in text


def _categories(settings: JudgeSettings, asked: Asked) -> dict[str, Any]:
    texts = [each.text for each in asked.listed or asked.criteria]
    found = group_criteria(texts, asked.themes, asked.task, settings.vocabulary)
    reason = writer_words()["reasons"]["categories"].format(given=len(texts), themes=len(found))
    return {"categories": [{"theme": each.theme, "tips": list(each.tips)} for each in found], "reason": reason}


def _filled(schema: Mapping[str, Any], text: str) -> Any:
    """Something a schema allows, for what this judge has no opinion on."""
    if schema.get("enum"):
        return schema["enum"][0]
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return True
        case "array":
            return [_filled(schema.get("items", {}), text) for _ in range(schema.get("minItems", 0))]
        case "object":
            return {key: _filled(each, text) for key, each in schema.get("properties", {}).items()}
        case _:
            return text


def _plain(text: str) -> list[AnswerToken]:
    return [AnswerToken(token) for token in split_tokens(text)]


def _object(fields: Mapping[str, Any]) -> list[AnswerToken]:
    """A JSON object as tokens; what was decided carries its alternatives."""
    tokens = _plain("{")
    for i, (key, value) in enumerate(fields.items()):
        tokens += _plain(f"{', ' if i else ''}{json.dumps(key)}: ")
        tokens += _decided(value) if isinstance(value, _Decided) else _plain(json.dumps(value, ensure_ascii=False))
    return tokens + _plain("}")


def _decided(value: _Decided) -> list[AnswerToken]:
    """Each token's log-probability given those before it, summed over everything that could have been chosen."""
    possible = [(split_tokens(text), p) for text, p in value.chances.items()]
    tokens = []
    for i, token in enumerate(split_tokens(value.chosen)):
        masses: dict[str, float] = {}
        for texts, p in possible:
            if i < len(texts):
                masses[texts[i]] = masses.get(texts[i], 0.0) + p
        total = sum(masses.values()) or 1.0
        top = tuple((text, math.log(max(mass / total, 1e-12))) for text, mass in masses.items())
        tokens.append(AnswerToken(token, math.log(max(masses.get(token, 0.0) / total, 1e-12)), top))
        possible = [(texts, p) for texts, p in possible if i < len(texts) and texts[i] == token]
    return tokens


def _broken(fields: Mapping[str, Any], how: float) -> list[AnswerToken]:
    """The answer with one of the faults models have: prose around it, cut off, or a list of the wrong length."""
    tokens = _object(fields)
    if how < 1 / 3:
        return [*_plain("Sure, here is my answer: "), *tokens, *_plain(" I hope this helps.")]
    ranks = fields.get("rank")
    if how < 2 / 3 and isinstance(ranks, _Decided):
        longer: Sequence[int] = [*json.loads(ranks.chosen), 1]
        return _object({**fields, "rank": list(longer)})
    return tokens[: max(1, len(tokens) // 2)]
