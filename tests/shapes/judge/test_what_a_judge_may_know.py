"""A judge sees the request alone: nothing of how worlds and labels are made is in its reach."""

import ast
from pathlib import Path

import workbench.shapes.judge

OF_THE_WORLD = {"attributes", "grammar", "instructions", "measure", "scene"}
FOLDER = Path(workbench.shapes.judge.__file__).parent


def test_the_judge_imports_neither_the_hidden_rule_nor_the_sampler():
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            of_shapes = {name.split(".")[2] for name in names if name.startswith("workbench.shapes.")}
            assert of_shapes <= OF_THE_WORLD | {"judge"}, f"{file.name} imports {sorted(of_shapes)}"
