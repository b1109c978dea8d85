"""Parameters made fit to be stored and shared: JSON only, relative paths, no secrets; and names for runs."""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

SECRET_NAME = re.compile(
    r"(^|_)((api|access|private|secret|auth)_?key|secret|password|passwd|passphrase|credentials?|authorization|bearer"
    r"|cookie|token)s?$"
)
NOT_SECRET = re.compile(r"(^|_)tokens$")  # max_tokens, output_tokens: counts
SECRET_VALUE = re.compile(r"\b(sk-[\w-]{16,}|hf_\w{20,}|gh[pousr]_\w{20,}|Bearer\s+\S{8,})|://[^/\s:@]+:[^/\s@]+@")


def storable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """`parameters` as plain JSON with paths relative to the working directory.

    Raises `ValueError` for names or values that look like secrets and for values JSON cannot hold.
    """
    secrets = {name: value for name, value in os.environ.items() if looks_secret(name) and len(value) >= 8}
    return {str(name): _clean(value, str(name), secrets) for name, value in parameters.items()}


def looks_secret(name: str) -> bool:
    """Whether a parameter or environment variable of this name would hold a key.

    >>> looks_secret("OPENAI_API_KEY"), looks_secret("apiKey"), looks_secret("max_tokens"), looks_secret("cache_key")
    (True, True, False, False)
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    return bool(SECRET_NAME.search(snake)) and not NOT_SECRET.search(snake)


def run_id(kind: str, names: Iterable[str], inputs: Mapping[str, Any]) -> str:
    """A readable name that the same inputs always get, such as `evaluate-shapes-t2i-handwritten-3f2a91c0`.

    - `kind`: the command or notebook. - `names`: what a person would call the dataset, rubric and judge.
    """
    canonical = json.dumps(storable(inputs), sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2b(f"{kind}\n{canonical}".encode(), digest_size=4).hexdigest()
    words = [re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")[:32].strip("-") for word in (kind, *names)]
    return "-".join([*(word for word in words if word), digest])


def differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every key, dotted where nested, whose value differs: `(key, old value, new value)`; None stands for absent."""
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from differing(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"{prefix}{key}", before, after


def _clean(value: Any, name: str, secrets: Mapping[str, str]) -> Any:
    if looks_secret(name.rsplit(".", 1)[-1]) and value is not None:
        raise ValueError(
            f"parameter {name!r} looks like a secret, and run folders are shared: leave it out and pass the value "
            "through the environment (the key of the endpoint is OPENAI_API_KEY)"
        )
    if isinstance(value, Mapping):
        return {str(key): _clean(inner, f"{name}.{key}", secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner, name, secrets) for inner in value]
    if isinstance(value, str | PurePath):
        return _clean_text(str(value), name, secrets)
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError(
        f"parameter {name!r} is {value!r} of type {type(value).__name__}: a run records None, booleans, finite "
        "numbers, text, paths, lists and mappings of these"
    )


def _clean_text(text: str, name: str, secrets: Mapping[str, str]) -> str:
    source = next((variable for variable, secret in secrets.items() if secret in text), None)
    if source or SECRET_VALUE.search(text):
        what = f"the value of the environment variable {source}" if source else "what looks like a key or password"
        raise ValueError(f"parameter {name!r} contains {what}, and run folders are shared: leave it out")
    return _relative(text) if _is_absolute_path(text) else text


def _is_absolute_path(text: str) -> bool:
    """Whether `text` begins with a folder of this machine's root; a prompt such as `/imagine a cat` does not."""
    parts = PurePath(text).parts if text.startswith("/") and "\n" not in text else ()
    return len(parts) > 1 and Path(parts[0], parts[1]).exists()


def _relative(path: str) -> str:
    """Relative to the working directory; outside of it `~/...` where possible, so that no user name is stored."""
    here, home = Path.cwd(), Path.home()
    absolute = Path(path)
    if not absolute.is_relative_to(here) and absolute.is_relative_to(home) and not here.is_relative_to(home):
        return str("~" / absolute.relative_to(home))
    return os.path.relpath(absolute, here)
