"""Rubric files: YAML that people read and edit, and ARR's text."""

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from workbench.atomic import replacing
from workbench.pairs.comparison import Task
from workbench.pairs.yaml_text import YamlError, compose, construct
from workbench.rubrics.arr_text import parse_arr_text, to_arr_text
from workbench.rubrics.rubric import Criterion, Level, Rubric, RubricError, Theme

SCHEMA = "workbench.rubric/1"
MAX_BYTES = 2**20
_LONG = 88

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _CriterionPart(_Part):
    id: str
    text: str
    weight: Weight = 1.0
    levels: dict[int, str] = {}
    enabled: bool = True
    source: str | None = None


class _ThemePart(_Part):
    name: str
    weight: Weight = 1.0
    criteria: list[_CriterionPart] = []


class _File(_Part):
    schema_: Literal["workbench.rubric/1"] = Field(alias="schema")
    name: str
    task: Task
    themes: list[_ThemePart]
    provenance: dict[str, JsonValue] = {}


def load_rubric(path: str | Path, *, task: Task | None = None) -> Rubric:
    """Read a rubric from YAML (`.yaml`, `.yml`) or ARR's text (`.txt`).

    Text names no task: it is `task`, or edit if the file is called so, otherwise t2i. A rubric without enabled criteria
    is read, so that it can be edited; rendering it for a judge raises. Raises `RubricError` naming file, line and key.
    """
    path = Path(path)
    text = _read_text(path)
    if path.suffix.lower() == ".txt":
        return parse_arr_text(text, name=path.stem, task=task or ("edit" if "edit" in path.stem.lower() else "t2i"))
    check_rubric_path(path)
    return _parse_yaml(text, path)


def check_rubric_path(path: Path) -> None:
    """Raises `RubricError` for a path whose ending is not that of a rubric file."""
    if path.suffix.lower() not in (".yaml", ".yml", ".txt"):
        raise RubricError(f"{path}: rubric files end in .yaml, .yml or .txt, not {path.suffix!r}")


def save_rubric(rubric: Rubric, path: str | Path) -> None:
    """Write a rubric as YAML, or as ARR's text if the path ends in `.txt`; the old file stays until the new is whole.

    Raises `RubricError` for another ending, provenance that is not JSON, and what ARR's text cannot hold.
    """
    path = Path(path)
    check_rubric_path(path)
    text = to_arr_text(rubric) if path.suffix.lower() == ".txt" else _write_yaml(rubric)
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RubricError(f"{path} cannot be read ({error.strerror}): give the path of a rubric file") from error
    if len(data) > MAX_BYTES:
        raise RubricError(f"{path} has {len(data):,} bytes, at most {MAX_BYTES:,} are allowed: is it a rubric?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RubricError(f"{path} is not UTF-8 text ({error}): save it as UTF-8") from error


def _parse_yaml(text: str, path: Path) -> Rubric:
    try:
        node = compose(text)
        data = construct(node) if node is not None else None
    except YamlError as error:
        place = path if error.line is None else f"{path}:{error.line}"
        raise RubricError(f"{place}: not usable YAML ({error.problem}): correct it") from error
    if node is None or not isinstance(data, dict):
        raise RubricError(f"{path}: not a rubric: begin with 'schema: {SCHEMA}', then name, task and themes")
    _check_schema(data.get("schema"), path)
    try:
        return _build(_File.model_validate(data))
    except ValidationError as error:
        faults = [_describe(dict(fault), node, path) for fault in error.errors()]
        raise RubricError("\n".join(faults)) from error
    except RubricError as error:
        raise RubricError(f"{path}: {error}") from error


def _check_schema(schema: object, path: Path) -> None:
    if schema == SCHEMA:
        return
    family, _, version = str(schema).partition("/")
    if family == SCHEMA.partition("/")[0] and version.isdigit() and int(version) > 1:
        raise RubricError(f"{path}: written by a newer version (schema {schema}): upgrade workbench to read it")
    raise RubricError(f"{path}: schema is {schema!r}: begin the file with 'schema: {SCHEMA}'")


def _build(file: _File) -> Rubric:
    themes = tuple(
        Theme(
            name=theme.name,
            weight=theme.weight,
            criteria=tuple(
                Criterion(
                    id=part.id,
                    text=part.text,
                    weight=part.weight,
                    levels=tuple(Level(score, text) for score, text in part.levels.items()),
                    enabled=part.enabled,
                    source=part.source,
                )
                for part in theme.criteria
            ),
        )
        for theme in file.themes
    )
    return Rubric(name=file.name, task=file.task, themes=themes, provenance=file.provenance)


def _describe(fault: dict[str, Any], node: yaml.Node, path: Path) -> str:
    """One line for one of pydantic's errors: file, line, key, what is wrong, what was allowed."""
    loc = tuple(fault["loc"])
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    place = f"{path}:{_line_of(node, loc)}: {key}"
    if fault["type"] == "extra_forbidden":
        allowed = _allowed_keys(loc)
        nearest = difflib.get_close_matches(str(loc[-1]), allowed, 1)
        return f"{place} is unknown: " + (
            f"did you mean {nearest[0]}?" if nearest else f"keys are {', '.join(allowed)}"
        )
    if fault["type"] == "missing":
        return f"{place} is missing: add it"
    hint = (
        ": put it in quotes" if fault["type"] == "string_type" and not isinstance(fault["input"], dict | list) else ""
    )
    return f"{place} is {fault['input']!r:.60}, {fault['msg'][0].lower()}{fault['msg'][1:]}{hint}"


def _allowed_keys(loc: tuple[str | int, ...]) -> list[str]:
    part: type[_Part] = _CriterionPart if "criteria" in loc[:-1] else _ThemePart if "themes" in loc[:-1] else _File
    return [field.alias or name for name, field in part.model_fields.items()]


def _line_of(node: yaml.Node, loc: tuple[str | int, ...]) -> int:
    """The line of the deepest part of `loc` that is in the file, from 1."""
    line = node.start_mark.line
    for part in loc:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        elif isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
    return int(line) + 1


class _Dumper(yaml.SafeDumper):
    """Block style; long text folded, text of several lines as it is; no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else ">" if len(text) > _LONG else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _write_yaml(rubric: Rubric) -> str:
    try:
        provenance = json.loads(json.dumps(dict(rubric.provenance), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise RubricError(
            f"rubric {rubric.name} has provenance that is not JSON ({error}): keep plain values"
        ) from error
    data = {
        "schema": SCHEMA,
        "name": rubric.name,
        "task": rubric.task,
        "themes": [_theme_data(theme) for theme in rubric.themes],
        "provenance": provenance,
    }
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    # Block scalars cannot hold every text (some odd spaces and line breaks); quoted ones can.
    return text if yaml.safe_load(text) == data else yaml.safe_dump(data, sort_keys=False)


def _theme_data(theme: Theme) -> dict[str, Any]:
    weight = {} if theme.weight == 1 else {"weight": _number(theme.weight)}
    return {"name": theme.name, **weight, "criteria": [_criterion_data(criterion) for criterion in theme.criteria]}


def _criterion_data(criterion: Criterion) -> dict[str, Any]:
    data: dict[str, Any] = {"id": criterion.id, "text": criterion.text}
    if criterion.weight != 1:
        data["weight"] = _number(criterion.weight)
    if criterion.levels:
        data["levels"] = {level.score: level.text for level in criterion.levels}
    if not criterion.enabled:
        data["enabled"] = False
    if criterion.source is not None:
        data["source"] = criterion.source
    return data


def _number(weight: float) -> float:
    return int(weight) if weight == int(weight) else weight
