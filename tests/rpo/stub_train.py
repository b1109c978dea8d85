"""A stand-in for `python -m workbench.rpo.train`: counts updates, and ends as its prompts file is called."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from workbench.atomic import replacing
from workbench.rpo.config import RpoConfig
from workbench.runs.folder import RunFolder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    config = RpoConfig.load(options.config)
    fate = Path(config.prompts).stem
    if fate == "refused":
        sys.exit("the judge does not answer")
    if int(os.environ.get("RANK", 0)):
        return
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))

    def said(state: str, problem: str = "") -> None:
        status = {"state": state, "update": done, "updates": config.updates, "problem": problem}
        with replacing(options.out / "status.json") as file:
            file.write_text(json.dumps(status))

    with RunFolder.open(options.out, {"fate": fate}, kind="rpo"):
        metrics = options.out / "metrics.jsonl"
        done = len(metrics.read_text().splitlines()) if options.resume else 0
        print(f"{'resumed' if options.resume else 'started'} with {os.environ.get('WORLD_SIZE', 1)} processes")
        said("running")
        while done < config.updates and not stopped:
            time.sleep(0.02)
            done += 1
            with metrics.open("a") as file:
                file.write(json.dumps({"update": done, "reward": 0.5}) + "\n")
            if fate == "killed" and done == 3:
                print("about to be killed")
                os.kill(os.getpid(), signal.SIGKILL)
            if fate == "outage" and done == 3 and not options.resume:
                said("paused", "the judge cannot be reached")
                sys.exit(3)
        said("stopped" if stopped else "finished")


if __name__ == "__main__":
    main()
