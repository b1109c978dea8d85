"""`workbench shapes make`: seed pairs to induce from, and test pairs that share no prompt with them."""

import json
from pathlib import Path

from typer.testing import CliRunner

from workbench.cli import app


def prompts_of(folder: Path, *more: str) -> set[str]:
    line = ["shapes", "make", "--world", "3", "--task", "t2i", "--pairs", "25", *more, str(folder)]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0, result.output
    return {json.loads(line)["prompt"] for line in (folder / "pairs.jsonl").read_text().splitlines()}


def test_test_pairs_share_no_prompt_with_seed_pairs(tmp_path: Path) -> None:
    seeds, test = prompts_of(tmp_path / "seeds"), prompts_of(tmp_path / "test", "--test")
    assert seeds
    assert test
    assert not seeds & test
