"""Reading what to generate: a prompt a line, JSONL of edits, or the metadata of a folder of embeddings."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from workbench.pairs.aliases import SOURCE_KEYS
from workbench.pairs.comparison import Task
from workbench.rpo.config import faults
from workbench.rpo.policy import Prompt


class _Line(BaseModel):
    """What is used of a JSON object; files of edits carry other fields too."""

    model_config = ConfigDict(extra="ignore")

    text: str = Field(validation_alias=AliasChoices("instruction", "prompt", "caption"), min_length=1)
    source: str | None = Field(default=None, validation_alias=AliasChoices(*SOURCE_KEYS))
    id: str | None = None


def print_aside(line: str) -> None:
    """To standard error."""
    print(line, file=sys.stderr, flush=True)


def read_prompts(
    path: str | Path, task: Task | None = None, *, say: Callable[[str], object] = print_aside
) -> tuple[Prompt, ...]:
    """The prompts of a file in its order, named by line where they have no `id`.

    A `.jsonl` holds `{"source_image", "instruction"}` a line, or `{"prompt"}`; a `.json` is the `metadata.json` of
    `workbench.rpo.policies.embeddings`; anything else is text. Sources are looked for beside the file, then
    in the working folder.

    - `task`: what they must be for; None takes what is there.
    - `say`: told how many blank lines were skipped.

    Raises `ValueError` naming file and line: for a file without prompts, a line that is no prompt, a source that does
    not exist, an id that comes twice, and for edits mixed with others.
    """
    path, blank = Path(path), 0
    prompts: list[Prompt] = []
    first: dict[str, int] = {}
    for number, content in _lines(path):
        if content == "":
            blank += 1
            continue
        prompt = _prompt(path, number, content)
        if prompt.id in first:
            raise ValueError(f"{path}, line {number}: id {prompt.id!r} is that of line {first[prompt.id]} too")
        first[prompt.id] = number
        prompts.append(prompt)
        wanted = task or _task(prompts[0])
        if _task(prompt) != wanted:
            lack = "no source image, and this is for edits" if wanted == "edit" else "a source image, unlike others"
            raise ValueError(f"{path}, line {number}: {prompt.text!r} has {lack}")
    if not prompts:
        raise ValueError(f"{path}: holds no prompt ({blank} blank lines); write one a line")
    if blank:
        say(f"{path}: {blank} blank lines skipped, {len(prompts)} prompts read")
    return tuple(prompts)


def _lines(path: Path) -> Iterator[tuple[int, object]]:
    """Numbers from 1, and what is there: text, what JSON says, or "" where there is nothing."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"prompts: {path} cannot be read ({error})") from error
    if path.suffix == ".json":
        entries = _parse(path, 1, text)
        if not isinstance(entries, list):
            raise ValueError(f"{path}: holds no list of entries with a caption; for an object a line call it .jsonl")
        yield from enumerate(entries, start=1)
        return
    *lines, last = text.split("\n")  # not at the separators within a prompt that `splitlines` knows
    for number, line in enumerate(map(str.strip, [*lines, last] if last else lines), start=1):
        yield number, _parse(path, number, line) if line and path.suffix == ".jsonl" else line


def _parse(path: Path, number: int, text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: is no JSON ({error})") from error


def _prompt(path: Path, number: int, content: object) -> Prompt:
    if isinstance(content, str) and path.suffix not in (".json", ".jsonl"):
        return Prompt(f"line-{number}", content)
    try:
        line = _Line.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{path}, line {number}: {faults(error)}") from error
    source = _find(path, number, line.source) if line.source else None
    return Prompt(line.id or f"line-{number}", line.text, source)


def _find(path: Path, number: int, source: str) -> str:
    for candidate in (path.parent / source, Path(source)):
        if candidate.is_file():
            return str(candidate)
    raise ValueError(f"{path}, line {number}: source image {source} exists neither beside the file nor in {Path.cwd()}")


def _task(prompt: Prompt) -> Task:
    return "t2i" if prompt.source is None else "edit"
