"""Options that several commands share, and what is done with them; typer reads these types."""

import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from workbench.vlm.client import VlmClient
    from workbench.vlm.settings import Structured as StructuredMode

BaseUrl = Annotated[
    str, typer.Option("--base-url", envvar="OPENAI_BASE_URL", help="Endpoint, such as http://127.0.0.1:8000/v1.")
]
Model = Annotated[str, typer.Option(help="Model id; may be left out where the endpoint serves exactly one.")]
MaxCalls = Annotated[int | None, typer.Option(min=1, help="Stop before the run sends more requests than this.")]
MaxCost = Annotated[float | None, typer.Option(min=0, help="Stop before the run costs more US dollars than this.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Most requests in flight; falls by itself on 429.")]
Seed = Annotated[int | None, typer.Option(help="Sampling seed sent to the model.")]
MaxTokens = Annotated[int, typer.Option(min=1, help="Longest answer, in tokens, reasoning included.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds one request may take; an answer may take twice that.")]
Structured = Annotated[
    Literal["auto", "json_schema", "structured_outputs", "json_object", "off"],
    typer.Option(help="How the answer's JSON schema is enforced; auto falls back to off where a server refuses it."),
]
Extra = Annotated[str, typer.Option(help='Further request fields as JSON; null leaves one out: {"temperature": null}.')]
Task = Annotated[Literal["t2i", "edit"] | None, typer.Option(help="Take only this task's pairs from a mixed file.")]
Cache = Annotated[Path | None, typer.Option(help="Response cache; the user's cache folder unless given.")]
Images = Annotated[Literal["data", "file"], typer.Option(help="How images travel: data URLs, or file:// URLs.")]
AllowOutside = Annotated[bool, typer.Option(help="Accept image paths outside the dataset's folder.")]
AllowUrls = Annotated[bool, typer.Option(help="Accept images given as http(s) URLs and fetch them.")]
RubricFile = Annotated[Path, typer.Argument(help="Rubric file.")]
Outputs = Annotated[Path, typer.Option(help="Where run folders go.")]
RunOut = Annotated[Path | None, typer.Option(help="Run folder; named after its inputs unless given.")]
Guide = Annotated[Path | None, typer.Option(help="Human exemplars shown to the writer (YAML).")]


def client_of(
    base_url: str,
    model: str,
    *,
    max_calls: int | None,
    max_cost: float | None,
    max_tokens: int,
    timeout: float,
    concurrency: int,
    seed: int | None,
    structured: "StructuredMode",
    extra: str,
    cache: Path | None,
    allow_urls: bool,
    temperature: float = 0.0,
    transport: Literal["data", "file"] = "data",
) -> "VlmClient":
    """A client as a command's options describe it. Raises as `connect` does."""
    from workbench.connect import connect
    from workbench.vlm.settings import ImagePolicy, Limits, Sampling

    return connect(
        base_url,
        model,
        sampling=Sampling(temperature, max_tokens=max_tokens, seed=seed, extra=json_object("--extra", extra)),
        limits=Limits(max_calls, max_cost, concurrency, attempt_s=timeout, deadline_s=2 * timeout),
        cache=cache,
        structured=structured,
        images=ImagePolicy(transport=transport, allow_urls=allow_urls),
    )


def json_object(option: str, text: str) -> dict[str, Any]:
    """The object an option holds. Raises `ValueError` naming the option."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{option} is {text!r}, which is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"{option} is {text!r}; it must be a JSON object")
    return value


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run a command's work; interrupted, it says that nothing is lost and exits with 130."""
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        print("\ninterrupted: what was answered is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
