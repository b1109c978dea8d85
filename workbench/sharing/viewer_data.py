"""The pair viewer of a page: what its script reads instead of asking a kernel."""

from collections.abc import Mapping
from typing import Any

from workbench.annotations.annotation import Annotation, hash_content
from workbench.foreign import displayable
from workbench.pairs.comparison import Comparison
from workbench.pairs.content import contents
from workbench.sharing.previews import Previews
from workbench.sharing.subject import Subject
from workbench.widgets.pair_views import ImageKeys, by_pair, index_row, pair_view, shown_names


def viewer_data(subject: Subject, previews: Previews) -> dict[str, Any]:
    """`{about, rows, views, contents, problems}`; empty where there are no pairs.

    - `rows`, `views`: of `widgets.pair_views`, a view by its pair's id. - `contents`: `content_hash` of each pair, so
      that comments find their pair again. - `problems`: why a picture is not there, by its key.
    """
    comparisons = subject.dataset.comparisons
    if not comparisons:
        return {}
    judges = {judged.name: judged.records for judged in subject.judged}
    names, said = shown_names(judges), by_pair(judges)
    baseline = names[subject.baseline.name] if subject.baseline else None
    people: dict[str, list[Annotation]] = {}
    for annotation in subject.annotations:
        people.setdefault(annotation.pair_id, []).append(annotation)
    flips = subject.comparison.flips if subject.comparison else ()
    notes = {flip.pair_id: flip.word for flip in flips}
    rows, views = [], {}
    for each in comparisons:
        keys, own = _keys(each, previews), people.get(each.id, [])
        about = said.get(each.id, {})
        rows.append(index_row(each, about, own, baseline=baseline, keys=keys))
        views[each.id] = _without_keys(pair_view(each, about, own, note=notes.get(each.id, ""), keys=keys))
    return {
        "about": {
            "judges": list(names.values()),
            "baseline": baseline,
            "synthetic": subject.synthetic,
            "previews": True,
            "run": subject.path.resolve().name,
            "dataset": _dataset_hash(subject),
            "rubric": subject.rubric.hash if subject.rubric else None,
        },
        "rows": rows,
        "views": views,
        "contents": {id: hash_content(content) for id, content in contents(comparisons).items()},
        "problems": {key: displayable(problem, 300) for key, problem in previews.problems.items()},
    }


def _keys(comparison: Comparison, previews: Previews) -> ImageKeys:
    source = comparison.source_image
    return ImageKeys(
        tuple(previews.keys[image] for image in comparison.images), None if source is None else previews.keys[source]
    )


def _without_keys(view: dict[str, Any]) -> dict[str, Any]:
    """Requests and raw replies are not in a page, so their keys are of no use in it."""
    for judge in view["judges"]:
        for verdict in judge["verdicts"]:
            verdict["keys"] = []
    return view


def _dataset_hash(subject: Subject) -> str | None:
    manifest = subject.judged[-1].manifest if subject.judged else subject.manifest
    dataset = manifest.inputs.get("dataset")
    return str(dataset["hash"]) if isinstance(dataset, Mapping) and "hash" in dataset else None
