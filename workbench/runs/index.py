"""The table of runs in an outputs folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.runs.folder import is_in_use
from workbench.runs.manifest import FILE_NAME, Manifest, read_manifest, stored_results

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    "id", "kind", "status", "started", "dataset", "rubric", "judge", "model", "pairs", "accuracy", "accuracy_low",
    "accuracy_high", "position_bias", "calls", "cost_usd", "problem",
)  # fmt: skip


def list_runs(outputs_dir: str | Path) -> "pandas.DataFrame":
    """One row per run folder, newest first; a broken one is listed with its `problem`.

    `accuracy` is the mean over both orders with its 95% interval. A run whose process was killed is `interrupted`.
    """
    import pandas

    root = Path(outputs_dir)
    folders = sorted(root.glob(f"*/{FILE_NAME}")) if root.is_dir() else []
    rows = sorted((_row(file.parent) for file in folders), key=lambda row: row["started"] or "", reverse=True)
    return pandas.DataFrame(rows, columns=pandas.Index(COLUMNS))


def _row(folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {**dict.fromkeys(COLUMNS), "id": folder.name, "status": "broken", "problem": ""}
    try:
        manifest = read_manifest(folder)
        row |= _described(folder, manifest)
        row |= _numbers(stored_results(folder) or {})
    except (ValueError, OSError) as error:
        row["problem"] = str(error)
    except (TypeError, KeyError, AttributeError) as error:
        row["problem"] = f"{folder / 'results.json'} is not in the format of this version ({error!r})"
    return row


def _described(folder: Path, manifest: Manifest) -> dict[str, Any]:
    dead = manifest.status == "running" and not is_in_use(folder)
    return {
        "id": folder.name,
        "kind": manifest.kind,
        "status": "interrupted" if dead else manifest.status,
        "started": manifest.start,
        "dataset": _name(manifest.inputs.get("dataset")),
        "rubric": _name(manifest.inputs.get("rubric")),
        "judge": _name(manifest.inputs.get("judge")),
        "model": (manifest.inputs.get("judge") or manifest.inputs.get("writer") or {}).get("model"),
        "problem": manifest.problem,
    }


def _numbers(results: dict[str, Any]) -> dict[str, Any]:
    if "accuracy" not in results:
        return {}  # not an evaluation, or not finished
    mean = results["accuracy"]["mean"]
    low, high = mean["ci95"] or (None, None)
    return {
        "pairs": results["n_pairs"],
        "accuracy": mean["value"],
        "accuracy_low": low,
        "accuracy_high": high,
        "position_bias": results["position_bias"]["value"],
        "calls": results["calls"],
        "cost_usd": results["cost_usd"],
    }


def _name(part: Any) -> str | None:
    """`inputs` name their parts as `{"name": ...}`, or plainly; the judge of an induction has only its model."""
    if isinstance(part, dict):
        return part.get("name")
    return None if part is None else str(part)
