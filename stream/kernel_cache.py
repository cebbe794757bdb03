"""Where numba keeps the machine code of kernels: apart for each state of their sources.

numba takes its code again as long as the one file has not changed that a kernel stands in. Code of kernels from other
files that this one calls is part of it, and would stay as it was after an upgrade that changes those, without a word.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
PREFIX = "kernels-"


def choose(package: Path) -> Path:
    """The directory for the sources of ``package`` as they are.

    It lies in what ``NUMBA_CACHE_DIR`` names; without that beside the sources, or, where these cannot be written to, in
    the user's cache.
    """
    name = PREFIX + digest(package)
    given = os.environ.get(VARIABLE)
    if given:
        base = Path(given)
        # A child process has inherited what its parent has chosen.
        return (base.parent if base.name.startswith(PREFIX) else base) / name
    beside = package / "__pycache__"
    if os.access(beside if beside.exists() else package, os.W_OK):
        return beside / name
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shoal" / name


def digest(package: Path) -> str:
    """Of all files with kernels below ``package``, 16 hexadecimal digits."""
    state = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        if b"njit" in source:
            state.update(path.relative_to(package).as_posix().encode() + b"\0" + source)
    return state.hexdigest()[:16]


def forget_others(chosen: Path) -> None:
    """Delete what lies beside ``chosen`` of other states of the sources."""
    for other in chosen.parent.glob(f"{PREFIX}*"):
        if other != chosen:
            shutil.rmtree(other, ignore_errors=True)
