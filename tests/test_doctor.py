"""What `workbench doctor` says of an endpoint."""

import json

from faulty_server import FaultyServer, Received, Step, answer

from workbench.doctor import Check, check_all


async def vision_of(red_first: str, blue_first: str) -> Check:
    """The check of a judge that gives these ranks when the red square, which is right, is shown first or second."""
    red: list[str] = []  # shown first in the first question

    def judge(_: int, request: Received) -> Step:
        if not request.body:
            return Step(body=json.dumps({"data": [{"id": "served"}]}).encode())
        content = request.body["messages"][1]["content"]
        first = next(part["image_url"]["url"] for part in content if "image_url" in part)
        red.append(first)
        return answer(f'{{"reason": "seen", "rank": {red_first if first == red[0] else blue_first}}}')

    with FaultyServer(judge) as server:
        return next(check for check in await check_all(server.url, "served") if check.name == "vision")


async def test_a_judge_that_always_names_the_first_image_is_not_said_to_see() -> None:
    blind = await vision_of("[1, 2]", "[1, 2]")
    assert blind.state == "note"
    assert "do not trust" in blind.remedy
    assert (await vision_of("[1, 2]", "[2, 1]")).state == "ok"
