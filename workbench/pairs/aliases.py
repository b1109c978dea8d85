"""The names under which a record's fields go: ours, and those that ARR's files use.

A record is read as ARR's if it has any key that only ARR uses (`ARR_ONLY`), and may then carry keys nobody knows.
Otherwise it is ours, and an unknown key is a mistake.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from workbench.pairs.comparison import Task

OWN_KEYS = ("id", "task", "prompt", "images", "source_image", "ranks", "scores", "tags")
PROMPT_KEYS = ("query", "prompt", "instruction")
T2I_KEYS = ("image_paths", "response", "responses", "images", "image", "generated_image", "generated_images")
SOURCE_KEYS = ("source_image", "base_image", "original_image", "input_image", "reference_image", "ref_image")
EDITED_KEYS = (
    *("edited_image", "edited_images", "target_image", "target_images"),
    *("output_image", "output_images", "result_image", "result_images"),
)
EDIT_KEYS = (*EDITED_KEYS, "response", "responses", "images", "image_paths", "image")
RANK_KEYS = ("ranks", "label_rank")
SCORE_KEYS = ("scores", "label_score")
TAG_KEYS = ("task_type",)
"""ARR's name for the kind of edit; becomes a tag, unless it names the task."""

ARR_ONLY = frozenset(
    {*PROMPT_KEYS, *T2I_KEYS, *SOURCE_KEYS, *EDIT_KEYS, *RANK_KEYS, *SCORE_KEYS, *TAG_KEYS, "response_includes_base"}
) - set(OWN_KEYS)

TASKS: Mapping[str, Task] = {
    **dict.fromkeys(("t2i", "text_to_image", "text2image", "image_generation", "gen"), "t2i"),
    **dict.fromkeys(("edit", "image_edit", "image_editing", "i2i", "image_to_image"), "edit"),
}


def read_task(value: object) -> Task | None:
    """The task an alias stands for, whatever its case and hyphens; None if it stands for none.

    >>> read_task("Text-to-Image")
    't2i'
    """
    return TASKS.get(value.strip().lower().replace("-", "_").replace(" ", "_")) if isinstance(value, str) else None


def first(record: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str | None, Any]:
    """The first of the keys that the record fills, and its value; None and None if it fills none."""
    for key in keys:
        value = record.get(key)
        if value is not None and value not in ("", []):
            return key, value
    return None, None


def is_arr(record: Mapping[str, Any]) -> bool:
    """Whether the record has a key that only ARR's files use."""
    return not ARR_ONLY.isdisjoint(record)


def unknown_keys(record: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Keys that are none of ours, each with the nearest of ours; empty for a record of ARR's."""
    if is_arr(record):
        return []
    unknown = [str(key) for key in record if key not in OWN_KEYS]
    return [(key, next(iter(difflib.get_close_matches(key, OWN_KEYS, 1)), None)) for key in unknown]


def infer_task(record: Mapping[str, Any], file_name: str) -> Task:
    """The task of a record that names none: an edit if it has a source or edited images, or the file is called so."""
    key, _ = first(record, (*SOURCE_KEYS, *EDITED_KEYS))
    return "edit" if key is not None or "edit" in file_name.lower() else "t2i"


def base_comes_first(record: Mapping[str, Any], count: int) -> bool:
    """Whether the first of `count` images of an edit is its source, where the record names no source.

    It is if one image more than labels is given, or if a flag says so, or if nothing is labelled and there are three.
    """
    key, _ = first(record, EDITED_KEYS)
    if key is not None or count < 2:
        return False
    _, ranks = first(record, RANK_KEYS)
    _, scores = first(record, SCORE_KEYS)
    if isinstance(ranks, list | tuple) and count == len(ranks) + 1:
        return True
    if scores is not None and count == (len(scores) if isinstance(scores, list | tuple) else 1) + 1:
        return True
    if record.get("response_includes_base") is True:
        return True
    return ranks is None and scores is None and count >= 3
