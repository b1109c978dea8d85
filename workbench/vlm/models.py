"""Which models a server has."""

import httpx2

from workbench.vlm.errors import StopRun, Unreachable, WrongKey
from workbench.vlm.settings import Endpoint
from workbench.vlm.transport import Dropped, NotConnected, connecting, headers

_PATIENCE_S = 20.0


def list_models(base_url: str, api_key_env: str = "OPENAI_API_KEY") -> list[str]:
    """The ids the server lists at `/models`. Raises `StopRun` when it cannot be asked."""
    shown = Endpoint(base_url, "?").shown
    try:
        with connecting():
            url = base_url.rstrip("/") + "/models"
            response = httpx2.get(url, headers=headers(api_key_env), timeout=_PATIENCE_S)
    except (NotConnected, Dropped) as error:
        raise Unreachable(
            f"{shown} cannot be reached ({error}): check the base URL, and that the server is running"
        ) from error
    if response.status_code in (401, 403):
        raise WrongKey(f"{shown} answered {response.status_code}: check the key in {api_key_env}")
    try:
        return [str(model["id"]) for model in response.json()["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise StopRun(
            f"{shown} lists no models (status {response.status_code}): name one with --model, "
            "and check that the base URL ends in /v1"
        ) from error


def only_model(base_url: str, api_key_env: str = "OPENAI_API_KEY") -> str:
    """The id of a server's one model. Raises `ValueError` if it has none or several, `StopRun` as `list_models`."""
    models = list_models(base_url, api_key_env)
    if len(models) != 1:
        shown = Endpoint(base_url, "?").shown
        raise ValueError(f"{shown} has {len(models)} models: name one with --model ({', '.join(models[:20])})")
    return models[0]
