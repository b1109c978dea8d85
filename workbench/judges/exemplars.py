"""Human exemplars, for a rubric writer (guide mode) or a judge: which image people preferred and why, in words."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError


class Exemplar(BaseModel):
    """One decision of a person, told in text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    preferred: str
    dispreferred: str
    rationale: str


def load_exemplars(path: Path) -> tuple[Exemplar, ...]:
    """Exemplars from a YAML or JSON list of `{prompt, preferred, dispreferred, rationale}`.

    Raises `ValueError` naming the file and every field that is missing, unknown or not text.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        exemplars = TypeAdapter(tuple[Exemplar, ...]).validate_python(entries)
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read as YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(
            f"{path}: {problems}. Each exemplar needs prompt, preferred, dispreferred, rationale"
        ) from error
    if not exemplars:
        raise ValueError(f"{path}: holds no exemplar; write at least one or leave the option out")
    return exemplars


def exemplars_text(exemplars: Sequence[Exemplar]) -> str:
    """Exemplars as a model reads them."""
    return "\n\n".join(
        f"Prompt: {e.prompt}\nPreferred: {e.preferred}\nDispreferred: {e.dispreferred}\nWhy: {e.rationale}"
        for e in exemplars
    )
