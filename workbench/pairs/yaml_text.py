"""YAML from strangers: plain values with line numbers, no repeated keys, no endless aliases."""

from typing import Any

import yaml

MAX_NODES = 5_000_000
"""Values a text may stand for, aliases written out."""


class YamlError(ValueError):
    """Text that is not YAML, or YAML with parts that are refused; `line` counts from 1, where it is known."""

    def __init__(self, line: int | None, problem: str) -> None:
        self.line = line
        self.problem = problem
        super().__init__(problem if line is None else f"line {line}: {problem}")


class _Loader(yaml.SafeLoader):
    """Refuses keys given twice, of which one would be lost."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise YamlError(key.start_mark.line + 1, f"key {key.value!r} is given twice")
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
        return node


def compose(text: str) -> yaml.Node | None:
    """The document as nodes that know their lines; None for an empty one. Raises `YamlError`."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None and _count(node, {}) > MAX_NODES:
                raise YamlError(None, f"its aliases stand for more than {MAX_NODES:,} values")
            return node
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise YamlError(line, error.problem or str(error)) from error
    except yaml.YAMLError as error:
        raise YamlError(None, str(error)) from error
    except RecursionError as error:
        raise YamlError(None, "is nested too deeply") from error


def construct(node: yaml.Node) -> Any:
    """The value a node stands for: dicts, lists, strings, numbers, dates, true, false, None. Raises `YamlError`."""
    loader = _Loader("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None) or node.start_mark
        raise YamlError(mark.line + 1, str(getattr(error, "problem", None) or error)) from error
    finally:
        loader.dispose()


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values the node stands for with all aliases written out, which a short text can make astronomical."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = MAX_NODES + 1  # what it counts as inside itself
        parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(node)]
