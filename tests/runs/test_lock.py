"""Locks: who looks at one takes it for an instant, which nobody who wants it may take for its holder."""

import fcntl
import threading
from pathlib import Path

from workbench.runs.lock import is_locked, take_lock


def test_a_look_at_a_lock_does_not_keep_it_from_whoever_wants_it(tmp_path: Path) -> None:
    path = tmp_path / "pid.json"
    with path.open("w") as looking, path.open("r+") as wanting:
        fcntl.flock(looking, fcntl.LOCK_SH | fcntl.LOCK_NB)
        threading.Timer(0.03, looking.close).start()
        assert take_lock(wanting.fileno())
        assert is_locked(path)
    assert not is_locked(path)


def test_a_held_lock_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "pid.json"
    with path.open("w") as holding, path.open("r+") as wanting:
        assert take_lock(holding.fileno())
        assert not take_lock(wanting.fileno())
    assert not is_locked(tmp_path / "nothing here")
