"""Locks on files, which go with the process that holds them, however it ends."""

import fcntl
import os
from pathlib import Path


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock on a file; not where there is no file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
