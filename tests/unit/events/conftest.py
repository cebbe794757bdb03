from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def examples() -> Path:
    return REPOSITORY / "examples"


@pytest.fixture
def schemas() -> Path:
    return REPOSITORY / "docs" / "schemas"
