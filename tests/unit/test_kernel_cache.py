"""Machine code is not taken again after a change of any kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream import kernel_cache

CALLED = "from numba import njit\n\n@njit(cache=True)\ndef called():\n    return {answer}\n"
CALLER = (
    "from numba import njit\nfrom pack.called import called\n\n"
    "@njit(cache=True)\ndef caller():\n    return called()\n"
)
PACKAGE = (
    "import os\nfrom pathlib import Path\nfrom stream import kernel_cache\n"
    "os.environ[kernel_cache.VARIABLE] = str(kernel_cache.choose(Path(__file__).parent))\n"
)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text(PACKAGE)
    (package / "caller.py").write_text(CALLER)
    (package / "called.py").write_text(CALLED.format(answer=1))
    return package


def answer(pack: Path) -> int:
    environment = {k: v for k, v in os.environ.items() if k != kernel_cache.VARIABLE}
    environment["PYTHONPATH"] = os.pathsep.join([str(pack.parent), *sys.path])
    code = "from pack.caller import caller; print(caller())"
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return int(run.stdout)


def test_a_kernel_that_calls_a_changed_one_is_compiled_again(pack: Path) -> None:
    assert answer(pack) == 1
    (pack / "called.py").write_text(CALLED.format(answer=2))
    assert answer(pack) == 2


def test_only_sources_with_kernels_count(pack: Path) -> None:
    before = kernel_cache.digest(pack)
    (pack / "plain.py").write_text("x = 1\n")
    assert kernel_cache.digest(pack) == before
    (pack / "called.py").write_text(CALLED.format(answer=2))
    assert kernel_cache.digest(pack) != before


def test_a_child_chooses_as_its_parent(pack: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(kernel_cache.VARIABLE, str(tmp_path / "given"))
    chosen = kernel_cache.choose(pack)
    assert chosen.parent == tmp_path / "given"
    monkeypatch.setenv(kernel_cache.VARIABLE, str(chosen))
    assert kernel_cache.choose(pack) == chosen


def test_other_states_are_forgotten(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernel_cache.VARIABLE, str(tmp_path))
    chosen, old, other = kernel_cache.choose(pack), tmp_path / f"{kernel_cache.PREFIX}0", tmp_path / "other"
    for one in (chosen, old, other):
        one.mkdir()
    kernel_cache.forget_others(chosen)
    assert (chosen.exists(), old.exists(), other.exists()) == (True, False, True)
