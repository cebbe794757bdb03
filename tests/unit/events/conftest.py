from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def examples() -> Path:
    return REPOSITORY / "examples"


@pytest.fixture
def schemas() -> Path:
    return REPOSITORY / "docs" / "schemas"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real logs that the project is developed with; they are not part of the repository."""
    folder = Path(os.environ.get("SHOAL_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"needs the real logs: {folder} is not there, and SHOAL_SHARED_DATA names no other folder"
        )
    return folder
