"""How a judge's instructions and a comparison's images become the text and pictures of one request."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from string import Template

from workbench.pairs.comparison import Comparison, Task
from workbench.vlm.request import Picture


def prompt_text(package: str, name: str, values: Mapping[str, object] | None = None) -> str:
    """The prompt file `prompts/<name>.txt` of a package, its `$name` places filled in (values are taken verbatim)."""
    return Template(_read(package, name)).substitute(values or {})


@cache
def _read(package: str, name: str) -> str:
    return files(package).joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")


def task_text(task: Task) -> str:
    """What the images are."""
    return prompt_text("workbench.judges", f"task_{task}")


def basis_text(rubric_text: str | None, exemplars: str = "") -> str:
    """What to judge by: a rubric or the rater's own taste, and how people decided elsewhere."""
    if rubric_text is None:
        basis = prompt_text("workbench.judges", "basis_free")
    else:
        basis = prompt_text("workbench.judges", "basis_rubric", {"rubric": rubric_text})
    if exemplars:
        basis += "\n\n" + prompt_text("workbench.judges", "exemplars", {"exemplars": exemplars})
    return basis


def show(comparison: Comparison, order: Sequence[int], question: str) -> tuple[str | Picture, ...]:
    """The user message: the source image first, then candidates in `order`, then prompt and question.

    Raises `ValueError` when `order` repeats a candidate or names one that is not there.
    """
    if len(set(order)) != len(order) or not set(order) <= set(range(len(comparison.images))):
        raise ValueError(f"order={list(order)} must name candidates 0 to {len(comparison.images) - 1}, each once")
    parts: list[str | Picture] = []
    label, prompt = "Image", "Prompt"
    if comparison.task == "edit":
        label, prompt = "Edited image", "Edit instruction"
        if comparison.source_image is not None:
            parts += ["Image BASE (original image):", Picture(comparison.source_image)]
    for position, index in enumerate(order, start=1):
        parts += [f"{label} {position}:", Picture(comparison.images[index])]
    return (*parts, f"{prompt}: {comparison.prompt}\n\n{question}")
