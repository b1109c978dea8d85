"""A library of rubrics: a folder of rubric files, each made for the prompt in its `provenance.prompt`."""

from pathlib import Path

from workbench.pairs.prompts import prompt_id
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric, RubricError


def load_library(folder: str | Path) -> tuple[Rubric, ...]:
    """All rubrics of a folder (`*.yaml`, `*.yml`), by file name.

    Raises `RubricError` naming every file that cannot be read, names no prompt or has no enabled criterion, and for an
    empty folder or one of several tasks.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RubricError(f"{folder} is no folder; give one of rubric files whose provenance names their prompt")
    rubrics, problems = [], []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in (".yaml", ".yml")):
        try:
            rubric = load_rubric(path)
            prompt_of(rubric)
            rubric.render()
        except RubricError as error:
            # Its own messages begin with the file, which not all others do.
            problems.append(str(error) if str(path) in str(error) else f"{path}: {error}")
        else:
            rubrics.append(rubric)
    if problems:
        raise RubricError("\n".join(problems))
    if not rubrics:
        raise RubricError(
            f"{folder} holds no rubric file (.yaml, .yml); give a folder such as `rubrics/` of a zero-shot run"
        )
    if len(tasks := sorted({rubric.task for rubric in rubrics})) > 1:
        raise RubricError(f"{folder} holds rubrics of several tasks: {', '.join(tasks)}; keep one folder for each")
    return tuple(rubrics)


def file_name(prompt: str, rubric_hash: str) -> str:
    """What the file of a prompt's rubric is called; prompts are not trusted to be file names."""
    return f"{prompt_id(prompt)}-{rubric_hash[:12]}.yaml"


def prompt_of(rubric: Rubric) -> str:
    """The prompt a rubric was made for. Raises `RubricError` where its provenance names none."""
    prompt = rubric.provenance.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise RubricError(f"rubric {rubric.name} names no prompt: write the one it is for as `provenance: prompt:`")
    return prompt
