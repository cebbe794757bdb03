"""NumPy keeps to one thread in the programs, unless it is told otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import consumers
assert "numpy" not in sys.modules, "NumPy was loaded before it was told"
import os
print(os.environ["OPENBLAS_NUM_THREADS"])
"""


@pytest.mark.parametrize(("given", "kept"), [(None, "1"), ("4", "4")])
def test_the_number_is_there_before_numpy_asks(given: str | None, kept: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    env |= {} if given is None else {"OPENBLAS_NUM_THREADS": given}
    run = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == kept
