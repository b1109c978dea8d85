"""From a base URL to a client: your endpoint, or the embedded judge started on the spot."""

import atexit
from contextlib import ExitStack
from pathlib import Path

from workbench.vlm.cache import default_path
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import StopRun
from workbench.vlm.server import look_up
from workbench.vlm.settings import Endpoint, ImagePolicy, Limits, Sampling, Structured

_servers = ExitStack()
atexit.register(_servers.close)
_running: dict[str, str] = {}
"""Base URLs of the judges started here, by model."""


def connect(
    base_url: str = "",
    model: str = "",
    *,
    world: str | Path | None = None,
    sampling: Sampling = Sampling(),
    limits: Limits = Limits(),
    cache: Path | None = None,
    structured: Structured = "auto",
    images: ImagePolicy = ImagePolicy(),
) -> VlmClient:
    """A client of `model` at `base_url`; without a `base_url`, of the judge of a shapes `world`, started here.

    - `model`: may be empty where the server has just one.
    - `world`: a world's folder; its server is started once and ends with this process.
    - `cache`: the response cache, the one in the user's cache folder unless given.

    Raises `ValueError` when there is neither a `base_url` nor a `world`, and `StopRun` when the server cannot be used.
    """
    if not base_url:
        if world is None:
            raise ValueError(
                "--base-url is not given and OPENAI_BASE_URL is not set; start the embedded judge with "
                "`workbench serve shapes` and pass --base-url http://127.0.0.1:8777/v1, or name your endpoint"
            )
        base_url, model = _start_world(Path(world))
    endpoint = Endpoint(base_url, model or look_up(base_url).only_model())
    return VlmClient(endpoint, sampling, limits, cache=cache or default_path(), structured=structured, images=images)


def _start_world(world: Path) -> tuple[str, str]:
    """Base URL and model of a world's judge; one that runs already is shared, as a notebook's cell runs many times."""
    from workbench.shapes.judge.server import running_server
    from workbench.shapes.judge.settings import JudgeSettings

    settings = JudgeSettings.load(world)
    model = settings.model_id
    if model not in _running or not _serves(_running[model], model):
        _running[model] = _servers.enter_context(running_server(settings))
    return _running[model], model


def _serves(base_url: str, model: str) -> bool:
    try:
        return model in look_up(base_url).models
    except StopRun:
        return False
