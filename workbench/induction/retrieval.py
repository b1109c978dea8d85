"""The rubric of the nearest prompts: a library made once, for prompts nobody wrote a rubric for."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.judges.verdict import Usage
from workbench.pairs.comparison import Comparison
from workbench.pairs.prompts import prompt_id, same_words
from workbench.rubrics.library import prompt_of
from workbench.rubrics.lint import repeated
from workbench.rubrics.rubric import Criterion, Rubric, Theme

LEAST_SIMILARITY = 0.2


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A rubric of the library and how near its prompt is, in [0, 1]; 1 is the same words."""

    rubric: Rubric
    similarity: float


class RetrievedRubrics:
    """Gives a comparison the criteria of the `k` rubrics whose prompts are nearest to its own.

        judge = RankingJudge(client, RetrievedRubrics(load_library("rubrics/library")))

    Similarity is the mean of two cosines between TF-IDF vectors: over words and pairs of words, and over character
    3- to 5-grams. Of equally near prompts the library's first is taken. A prompt to which none is as near as
    `least_similarity` is judged without a rubric. Neither label nor images are looked at, and nothing is asked.

    - `library`: of one task, as `load_library` reads it.

    Raises `ValueError` for an empty or mixed library and for settings out of range.
    """

    def __init__(self, library: Sequence[Rubric], k: int = 1, *, least_similarity: float = LEAST_SIMILARITY) -> None:
        if not library:
            raise ValueError("library is empty; give at least one rubric whose provenance names its prompt")
        if len(tasks := sorted({rubric.task for rubric in library})) > 1:
            raise ValueError(f"library holds rubrics of several tasks: {', '.join(tasks)}; give those of one")
        if k < 1:
            raise ValueError(f"k={k} must be at least 1")
        if not 0 <= least_similarity <= 1:
            raise ValueError(f"least_similarity={least_similarity:g} must be from 0 to 1")
        self.library = tuple(library)
        self.k = k
        self.least_similarity = least_similarity
        self._nearness = _Nearness([prompt_of(rubric) for rubric in library])
        self._found: dict[str, Rubric | None] = {}

    @property
    def name(self) -> str:
        """What tables call it."""
        return "retrieved"

    def identity(self) -> dict[str, Any]:
        """Settings, and the hash of the library's prompts and rubrics in their order."""
        held = "\n".join(f"{prompt_id(prompt_of(rubric))} {rubric.hash}" for rubric in self.library)
        digest = hashlib.sha256(held.encode()).hexdigest()
        return {"source": "retrieved", "library": digest, "k": self.k, "least_similarity": self.least_similarity}

    async def rubric_for(self, comparison: Comparison) -> Rubric | None:
        """The merged rubric of the nearest prompts, its provenance saying which; None when none is near."""
        if comparison.task != self.library[0].task:
            raise ValueError(
                f"the library is for task {self.library[0].task}, comparison {comparison.id!r} is of task "
                f"{comparison.task}; give a library for {comparison.task}"
            )
        prompt = comparison.prompt
        if prompt not in self._found:
            near = self.neighbours(prompt)
            self._found[prompt] = merge(near) if near else None
        return self._found[prompt]

    def neighbours(self, prompt: str) -> tuple[Neighbour, ...]:
        """The at most `k` rubrics of the nearest prompts, nearest first."""
        similarity = self._nearness.to(prompt)
        nearest = sorted(range(len(self.library)), key=lambda i: (-similarity[i], i))[: self.k]
        near = (Neighbour(self.library[i], similarity[i]) for i in nearest)
        return tuple(neighbour for neighbour in near if neighbour.similarity >= self.least_similarity)

    def exact_hits(self, comparisons: Sequence[Comparison]) -> int:
        """How many comparisons have a prompt the library was made for; accuracy on them says little of new prompts."""
        known = {same_words(prompt_of(rubric)) for rubric in self.library}
        return sum(same_words(comparison.prompt) in known for comparison in comparisons)

    def take_usage(self, comparison: Comparison) -> Usage:
        """Nothing: the library is there already."""
        return Usage()

    def most_calls(self, comparisons: Sequence[Comparison]) -> int:
        """None."""
        return 0


def merge(near: Sequence[Neighbour]) -> Rubric:
    """One rubric of the criteria of several, nearest first, without those that say what an earlier one says.

    Themes of the same name and weight become one. The ids are new, each criterion's source is its rubric's name.
    """
    kept: dict[tuple[str, float], list[Criterion]] = {}
    texts: list[str] = []
    for neighbour in near:
        for theme in neighbour.rubric.themes:
            for criterion in theme.enabled_criteria():
                if repeated(criterion.text, texts) is None:
                    texts.append(criterion.text)
                    own = replace(criterion, id=f"c{len(texts)}", source=neighbour.rubric.name)
                    kept.setdefault((theme.name, theme.weight), []).append(own)
    themes = tuple(Theme(name, weight, tuple(criteria)) for (name, weight), criteria in kept.items())
    used = [
        {
            "prompt": prompt_of(neighbour.rubric),
            "similarity": round(neighbour.similarity, 4),
            "rubric": neighbour.rubric.hash,
        }
        for neighbour in near
    ]
    provenance = {"recipe": "retrieved", "nearest": used}
    return Rubric("retrieved", near[0].rubric.task, themes, provenance)


class _Nearness:
    """TF-IDF of known prompts, and how near another prompt is to each."""

    def __init__(self, prompts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._parts = [
            # One letter and one sign are words too: "a", "7", and what scripts without spaces write.
            TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2)),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)),
        ]
        self._known = [part.fit_transform(prompts) for part in self._parts]

    def to(self, prompt: str) -> list[float]:
        """One similarity in [0, 1] for each known prompt."""
        cosines = [
            (known @ part.transform([prompt]).T).toarray()[:, 0]
            for part, known in zip(self._parts, self._known, strict=True)
        ]
        # Sums in another order differ in their last digit, which must not decide between equals.
        return [float(value) for value in np.round(np.clip(np.mean(cosines, axis=0), 0, 1), 9)]
