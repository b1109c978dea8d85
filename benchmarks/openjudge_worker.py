"""Runs py-openjudge's `iterative_rubric`, in its own environment and without the workbench.

Each line of standard input is a job, `{"base_url", "model", "rows", "concurrency"}`; each line of standard output is
its result, `{"seconds", "cpu", "criteria"}`. The first line out says which versions are at work.
"""

import asyncio
import json
import sys
import time
from importlib.metadata import version
from typing import Any

from loguru import logger
from openjudge.generator.iterative_rubric.generator import (
    IterativeListwiseRubricsGeneratorConfig,
    IterativeRubricsGenerator,
)
from openjudge.models.openai_chat_model import OpenAIChatModel
from openjudge.models.schema.prompt_template import LanguageEnum


class Gated(OpenAIChatModel):
    """The package's model, with at most `concurrency` calls at once; the package itself sets no bound."""

    def __init__(self, concurrency: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.gate = asyncio.Semaphore(concurrency)

    async def achat(self, *arguments: Any, **named: Any) -> Any:
        async with self.gate:
            return await super().achat(*arguments, **named)


async def generate(job: dict[str, Any]) -> dict[str, Any]:
    """One induction with the values of the published recipe: 5 criteria a pair, 5 epochs, at most 5 themes."""
    settings = {"model": job["model"], "api_key": "none", "base_url": job["base_url"], "temperature": 0.0}
    model = Gated(job["concurrency"], **settings) if job["concurrency"] else OpenAIChatModel(**settings)
    config = IterativeListwiseRubricsGeneratorConfig(
        grader_name="measured",
        model=model,
        language=LanguageEnum.EN,
        query_specific_generate_number=5,
        enable_categorization=True,
        categories_number=5,
        max_epochs=5,
    )
    started, cpu = time.perf_counter(), time.process_time()
    grader = await IterativeRubricsGenerator(config).generate(job["rows"])
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    await model.client.close()
    return {"seconds": seconds, "cpu": cpu, "criteria": grader.kwargs["rubrics"].count("- Tip")}


def main() -> None:
    """Work until standard input ends."""
    logger.remove()  # it logs every step, which would be measured too
    print(json.dumps({name: version(name) for name in ("py-openjudge", "openai")}), flush=True)
    for line in sys.stdin:
        print(json.dumps(asyncio.run(generate(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
