"""Verdicts per second: a bare HTTP client, the workbench, and the call pattern of the published code.

    python benchmarks/judge_throughput.py

Two photo-like 1024x1024 images a request, against a server on this machine. The workbench's row does everything an
evaluation does: schema, response cache, verdict log. Rows alternate, so that a noisy machine hits all of them;
read the ratios.
"""

import argparse
import asyncio
import base64
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import numpy as np
from loopback import loopback_server
from openai import AsyncOpenAI
from PIL import Image

from workbench.evaluation.judging import judge_all
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison, ImageSource
from workbench.progress import Progress
from workbench.vlm.body import serialise
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint, Limits, Sampling
from workbench.vlm.tasks import gather_or_stop

PROMPT = "A lighthouse on a cliff at dusk, number {}"


def photo(path: Path, seed: int) -> None:
    """A JPEG with the statistics of a photograph: noise whose amplitude falls as 1/f, about 90 KB at 1024 pixels."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(1024), np.fft.rfftfreq(1024), indexing="ij"))
    shaped = [np.fft.irfft2(np.fft.rfft2(rng.normal(size=(1024, 1024))) / (frequency + 2e-3) ** 2.2) for _ in "rgb"]
    channels = np.stack(shaped, axis=-1)
    pixels = 127 + 60 * (channels - channels.mean()) / channels.std()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=85)


def dataset(folder: Path, verdicts: int, images: int = 32) -> list[Comparison]:
    """`verdicts / 2` comparisons over a few images; prompts differ, so no two requests are the same."""
    paths = [folder / f"{i}.jpg" for i in range(images)]
    for seed, path in enumerate(paths):
        photo(path, seed)
    return [
        Comparison(
            id=f"p{i}",
            task="t2i",
            prompt=PROMPT.format(i),
            images=(str(paths[i % images]), str(paths[(i + 1) % images])),
            ranks=(1, 2),
        )
        for i in range(verdicts // 2)
    ]


async def in_flight(jobs: list[Callable[[], Awaitable[object]]], concurrency: int) -> None:
    waiting = iter(jobs)

    async def worker() -> None:
        for job in waiting:
            await job()

    await gather_or_stop(worker() for _ in range(concurrency))


async def bare(base_url: str, bodies: list[bytes], concurrency: int) -> float:
    """(a) httpx2 posting finished bodies."""
    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    headers = {"content-type": "application/json"}
    async with httpx2.AsyncClient(limits=limits, timeout=60) as client:

        async def post(body: bytes) -> object:
            response = await client.post(f"{base_url}/chat/completions", content=body, headers=headers)
            return json.loads(response.content)["choices"][0]["message"]["content"]

        started = time.perf_counter()
        await in_flight([lambda body=body: post(body) for body in bodies], concurrency)
        return len(bodies) / (time.perf_counter() - started)


async def workbench(base_url: str, comparisons: list[Comparison], concurrency: int) -> tuple[float, float]:
    """(b) an evaluation with an empty cache; returns verdicts per second and the seconds spent encoding before."""
    with tempfile.TemporaryDirectory() as scratch:
        limits = Limits(concurrency=concurrency)
        async with VlmClient(
            Endpoint(base_url, "loopback"), limits=limits, cache=Path(scratch, "cache.sqlite")
        ) as client:
            started = time.perf_counter()
            for source in {image for comparison in comparisons for image in comparison.images}:
                await client._images.url(source, await client._images.fingerprint(source))
            encoding = time.perf_counter() - started
            verdicts = 2 * len(comparisons)
            with Path("/dev/null").open("w") as quiet:
                progress = Progress("judging", verdicts, stream=quiet)
                started = time.perf_counter()
                log = Path(scratch, "verdicts.jsonl")
                await judge_all(comparisons, RankingJudge(client), log, progress, concurrency=concurrency)
            return verdicts / (time.perf_counter() - started), encoding


async def published(base_url: str, comparisons: list[Comparison], concurrency: int) -> float:
    """(c) the openai client, every image read and encoded again at every call."""
    client = AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0)

    def picture(path: str) -> dict[str, object]:
        data = base64.b64encode(Path(path).read_bytes()).decode()
        return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}

    async def ask(comparison: Comparison, order: tuple[int, int]) -> object:
        content: list[dict[str, object]] = []
        for position, index in enumerate(order, start=1):
            content += [{"type": "text", "text": f"Image {position}:"}, picture(str(comparison.images[index]))]
        content.append({"type": "text", "text": f"Prompt: {comparison.prompt}. Rank the images."})
        answer = await client.chat.completions.create(
            model="loopback",
            messages=[{"role": "user", "content": content}],  # type: ignore[list-item]
            temperature=0,
            response_format={"type": "json_object"},
        )
        return json.loads(answer.choices[0].message.content or "")

    jobs = [lambda c=c, o=o: ask(c, o) for c in comparisons for o in ((0, 1), (1, 0))]
    started = time.perf_counter()
    await in_flight(jobs, concurrency)
    rate = len(jobs) / (time.perf_counter() - started)
    await client.close()
    return rate


def bodies_of(comparisons: list[Comparison]) -> list[bytes]:
    """The bytes an evaluation sends."""
    endpoint = Endpoint("http://127.0.0.1:9/v1", "loopback")
    judge = RankingJudge(VlmClient(endpoint, cache=None))

    def url(source: ImageSource) -> bytes:
        return b"data:image/jpeg;base64," + base64.b64encode(Path(str(source)).read_bytes())

    return [
        serialise(
            judge.request(comparison, order),
            [url(comparison.images[index]) for index in order],
            endpoint.model,
            Sampling(),
            "json_schema",
            logprobs=False,
            repair=None,
        )
        for comparison in comparisons
        for order in ((0, 1), (1, 0))
    ]


def throughput(folder: Path, verdicts: int, rounds: int) -> None:
    comparisons = dataset(folder, verdicts)
    bodies = bodies_of(comparisons)
    print(f"{verdicts} verdicts, bodies of {statistics.mean(map(len, bodies)) / 1e3:.0f} KB, 64 in flight, no latency")
    rows: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    with loopback_server() as url:
        for _ in range(rounds):
            rows["a"].append(asyncio.run(bare(url, bodies, 64)))
            rate, encoding = asyncio.run(workbench(url, comparisons, 64))
            rows["b"].append(rate)
            rows["c"].append(asyncio.run(published(url, comparisons[: verdicts // 4], 64)))
    names = {"a": "bare httpx2", "b": "workbench", "c": "published call pattern"}
    for key, rates in rows.items():
        print(f"({key}) {names[key]:24} {statistics.median(rates):7.0f}/s  ({min(rates):.0f} to {max(rates):.0f})")
    for other in "ac":
        ratios = [b / o for b, o in zip(rows["b"], rows[other], strict=True)]
        print(f"b/{other}  median {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"encoding 32 images once, outside the timed region: {encoding * 1e3:.0f} ms")


def latency(folder: Path, verdicts: int, rounds: int) -> None:
    comparisons = dataset(folder, verdicts)
    ideal = 256 / 0.5
    with loopback_server(latency=0.5) as url:
        shares = [asyncio.run(workbench(url, comparisons, 256))[0] / ideal for _ in range(rounds)]
    print(
        f"500 ms latency, 256 in flight, {verdicts} verdicts: {statistics.median(shares):.1%} of the ideal "
        f"{ideal:.0f}/s ({min(shares):.1%} to {max(shares):.1%})"
    )


def memory(folder: Path, comparisons: int) -> None:
    """Peak memory of an evaluation of many comparisons from JSONL, in a process of its own."""
    rows = dataset(folder, 64)
    with (folder / "many.jsonl").open("w") as file:
        for i in range(comparisons):
            row = {"id": f"p{i}", "task": "t2i", "prompt": PROMPT.format(i), "ranks": [1, 2]}
            row["images"] = [Path(str(image)).name for image in rows[i % len(rows)].images]
            file.write(json.dumps(row) + "\n")
    with loopback_server() as url:
        command = [sys.executable, __file__, "--memory-child", url, str(folder / "many.jsonl")]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def memory_child(url: str, dataset_path: Path) -> None:
    from workbench.evaluation.evaluate import evaluate
    from workbench.pairs.loading import load

    async def work(outputs: Path) -> None:
        comparisons = load(dataset_path)
        loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        async with VlmClient(
            Endpoint(url, "loopback"), limits=Limits(concurrency=64), cache=outputs / "c.db"
        ) as client:
            started = time.perf_counter()
            await evaluate(comparisons, RankingJudge(client), client=client, dataset=dataset_path, outputs=outputs)
            seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{len(comparisons)} comparisons: {loaded:.0f} MB when loaded, {peak:.0f} MB peak, {seconds:.0f} s")

    with tempfile.TemporaryDirectory() as outputs:
        asyncio.run(work(Path(outputs)))


def cached(folder: Path, verdicts: int) -> None:
    """A second, fully cached evaluation in a new run folder and a new process state."""
    from workbench.evaluation.evaluate import evaluate

    comparisons = dataset(folder, verdicts)

    async def work(url: str, outputs: Path) -> float:
        async with VlmClient(
            Endpoint(url, "loopback"), limits=Limits(concurrency=64), cache=folder / "cached.sqlite"
        ) as client:
            started = time.perf_counter()
            await evaluate(
                comparisons, RankingJudge(client), client=client, dataset=folder / "x.jsonl", outputs=outputs
            )
            return time.perf_counter() - started

    with loopback_server() as url:
        first = asyncio.run(work(url, folder / "first"))
        second = asyncio.run(work(url, folder / "second"))
    print(f"{verdicts} verdicts: {first:.1f} s asked, {second:.1f} s from the cache")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verdicts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--comparisons", type=int, default=100_000, help="for peak memory; 0 leaves it out")
    parser.add_argument("--memory-child", nargs=2, metavar=("URL", "PAIRS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_child:
        memory_child(options.memory_child[0], Path(options.memory_child[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        throughput(folder, options.verdicts, options.rounds)
        latency(folder, 5 * options.verdicts, options.rounds)
        cached(folder, 10_000)
        if options.comparisons:
            memory(folder, options.comparisons)


if __name__ == "__main__":
    main()
