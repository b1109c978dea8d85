"""Locks on files, which go with the process that holds them, however it ends."""

import fcntl
import os
import time
from pathlib import Path


def take_lock(file: int) -> bool:
    """Lock an open file until it is closed; False while another process holds it."""
    for pause in (0.05, 0.1, 0.0):  # whoever asks `is_locked` holds it for an instant
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False


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
