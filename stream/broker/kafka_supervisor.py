"""Runs a command for a parent process and leaves nothing behind when the parent dies, however it dies.

Started as a script of its own, with the standard library alone::

    python kafka_supervisor.py PARENT_PID GRACE_SECONDS SCRATCH_DIRECTORY COMMAND...

``SIGTERM`` to it, or the parent's death, stops the command: by ``SIGTERM``, and by ``SIGKILL`` after
``GRACE_SECONDS``. When the parent has died, the scratch directory (may be empty: none) is deleted too. The
exit status is the command's.

A process of its own is needed since nothing in the parent runs after a ``SIGKILL``. The kernel's parent-death
signal alone would not do: it cannot delete files, and it fires when the thread that started the child ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

# How often the parent is looked at, in seconds: a dead parent's broker lives on for so long; each look costs
# microseconds.
LOOK_EVERY = 0.1
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent, the supervisor, dies; elsewhere nothing."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(parent: int, grace: float, scratch: str, command: list[str]) -> int:
    """See the module."""
    asked_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked_to_stop.append(number))
    # This process has one thread, so running Python between fork and exec is safe. Descriptors stay open: the
    # parent passes one whose lock is to be held for as long as the command runs.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False, preexec_fn=die_with_parent)  # noqa: S603
    while child.poll() is None and not asked_to_stop and os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    status = stop(child, grace)
    if scratch and os.getppid() != parent:
        shutil.rmtree(scratch, ignore_errors=True)
    return status


def stop(child: subprocess.Popen[bytes], grace: float) -> int:
    """End ``child``, politely for ``grace`` seconds, and return its exit status."""
    child.terminate()
    try:
        return child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:]))
