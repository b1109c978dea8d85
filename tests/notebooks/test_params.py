"""The parameter files of notebook 06: they fit the notebook, and say what a run of full size would be."""

from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
import yaml

from workbench.rpo.config import RpoConfig
from workbench.rpo.estimate import estimate

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "06_rpo.ipynb"
FILES = sorted((ROOT / "notebooks" / "params").glob("rpo_*.yaml"))

each = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def configs(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, RpoConfig]:
    """What the notebook's own cells make of the file's parameters, with a judge behind vLLM."""
    monkeypatch.chdir(ROOT)
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    namespace: dict[str, Any] = {}
    exec(cells[0], namespace)
    namespace |= {**yaml.safe_load(file.read_text()), "base_url": "http://127.0.0.1:8000/v1"}
    built = next(cell for cell in cells if cell.startswith("configs, model = {}"))
    imports = [line for line in cells[1].splitlines() if line.startswith(("from workbench", "from pathlib"))]
    exec("\n".join([*imports, built]), namespace)
    found: dict[str, RpoConfig] = namespace["configs"]
    return found


def test_there_is_one_for_each_published_setting() -> None:
    assert [file.stem for file in FILES] == ["rpo_edit_flow_grpo", "rpo_flux", "rpo_qwen_edit"]


@each
def test_every_parameter_is_one_of_the_notebook(file: Path) -> None:
    known = papermill.inspect_notebook(str(NOTEBOOK))
    assert set(yaml.safe_load(file.read_text())) <= set(known)


@each
def test_it_describes_a_run_on_eight_devices_of_80_gb(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = configs(file, monkeypatch).values()
    (reward,) = config.rewards
    assert (config.updates, config.gold, reward.world) == (300, None, None)
    assert (reward.base_url, reward.model) == ("http://127.0.0.1:8000/v1", "Qwen/Qwen3-VL-8B-Instruct")
    assert Path(reward.rubric or "").exists()
    config.per_process(8)
    assert estimate(config, processes=8, device_memory_gb=80).fits
