"""The guide's rule in a file of one's own."""

from __future__ import annotations

from pathlib import Path

import guides
import pytest


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """The guide's rule with `batch` alone, which needs no compiler."""
    path = tmp_path / "sign_symmetry.py"
    path.write_text(guides.rule_files()[0])
    return path
