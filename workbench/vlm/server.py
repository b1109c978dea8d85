"""What a server says of itself: its models and its version."""

from dataclasses import dataclass
from urllib.parse import urljoin

import httpx2

from workbench.vlm.errors import UnknownModel, Unreachable, WrongKey
from workbench.vlm.settings import Endpoint
from workbench.vlm.transport import headers

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible server.

    - `base_url`: without a password, fit to be shown. - `version`: None where the server does not tell; vLLM does.
    """

    base_url: str
    models: tuple[str, ...]
    version: str | None

    def only_model(self) -> str:
        """The one model it serves; raises `UnknownModel` when there is a choice to make."""
        if len(self.models) != 1:
            served = ", ".join(self.models[:10]) or "none"
            raise UnknownModel(f"{self.base_url} serves {len(self.models)} models ({served}); name one with --model")
        return self.models[0]


def look_up(base_url: str, api_key_env: str = "OPENAI_API_KEY") -> Server:
    """Ask a server for its models and version. Raises `Unreachable` or `WrongKey`."""
    shown = Endpoint(base_url, "?", api_key_env).shown
    base = base_url.rstrip("/") + "/"
    try:
        with httpx2.Client(headers=headers(api_key_env), timeout=_TIMEOUT_S) as client:
            listed = client.get(urljoin(base, "models"))
            if listed.status_code in (401, 403):
                raise WrongKey(f"{shown} refuses the key in {api_key_env} ({listed.status_code}); set the right one")
            listed.raise_for_status()
            models = tuple(str(entry["id"]) for entry in listed.json()["data"])
            version = client.get(urljoin(base, "../version"))
            told = version.json().get("version") if version.status_code == 200 else None
    except httpx2.HTTPStatusError as error:
        raise Unreachable(
            f"{shown} answers, but lists no models ({error.response.status_code}); "
            "the base URL must end where the paths begin, usually in /v1"
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Unreachable(
            f"{shown} does not answer ({error or type(error).__name__}); check the address, and that the server runs"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreachable(
            f"{shown} answers, but not as an OpenAI-compatible server ({error}); the address must end in /v1"
        ) from error
    return Server(shown, models, str(told) if told else None)
