"""The raw records of a dataset file, with the line each came from: JSONL, a JSON list, YAML, or Parquet."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from workbench.pairs.problems import brief
from workbench.pairs.yaml_text import YamlError, compose, construct

FORMATS = (".jsonl", ".json", ".yaml", ".yml", ".parquet")


@dataclass(frozen=True, slots=True)
class Row:
    """One record and its line (row, for Parquet), from 1; where `record` is None, `problem` says why it cannot be read.

    A problem with `line` None concerns the whole file.
    """

    line: int | None
    record: dict[str, Any] | None
    problem: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """Read a file's records one by one, in the format its suffix names."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        yield Row(None, None, f"has the suffix {suffix!r}, not one of {', '.join(FORMATS)}")
        return
    try:
        if suffix == ".parquet":
            from workbench.pairs.parquet import read_parquet_rows

            yield from read_parquet_rows(path)
        elif suffix == ".jsonl":
            yield from _read_jsonl(path)
        elif suffix == ".json":
            yield from _read_json(path)
        else:
            yield from _read_yaml(path)
    except FileNotFoundError:
        yield Row(None, None, "does not exist")
    except UnicodeDecodeError as error:
        yield Row(None, None, f"is not UTF-8 text ({error})")
    except OSError as error:
        yield Row(None, None, f"cannot be read ({error})")


def _record(line: int, value: object) -> Row:
    if not isinstance(value, dict):
        return Row(line, None, f"is {brief(value)}, not an object with keys such as prompt and images")
    return Row(line, {str(key): item for key, item in value.items()})


def _read_jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            if line == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if not raw.strip():
                continue
            try:
                value = json.loads(raw)
            except (ValueError, RecursionError) as error:
                yield Row(line, None, f"is not JSON ({error})")
            else:
                yield _record(line, value)


def _read_json(path: Path) -> Iterator[Row]:
    text = path.read_text(encoding="utf-8-sig")
    if not text.strip():
        return
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = "; one object a line is called .jsonl" if "Extra data" in str(error) else ""
        yield Row(getattr(error, "lineno", None), None, f"is not JSON ({error}){hint}")
        return
    if not isinstance(whole, list):
        yield Row(None, None, f"is {brief(whole)}, not a list of comparisons")
        return
    decoder, at, line = json.JSONDecoder(), text.index("[") + 1, 1
    counted = 0
    for value in whole:
        while text[at] in " \t\r\n,":
            at += 1
        line += text.count("\n", counted, at)
        counted = at
        _, at = decoder.raw_decode(text, at)
        yield _record(line, value)


def _read_yaml(path: Path) -> Iterator[Row]:
    try:
        node = compose(path.read_text(encoding="utf-8-sig"))
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode):
            yield Row(None, None, "is not a YAML list of comparisons")
            return
        for item in node.value:
            yield _record(item.start_mark.line + 1, construct(item))
    except YamlError as error:
        yield Row(error.line, None, f"is not usable YAML ({error.problem})")
