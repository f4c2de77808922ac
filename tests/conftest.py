"""What tests of several files ask for."""

import pytest
import threads

from streaming import scheduled


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads meet after every few samples."""
    monkeypatch.setattr(scheduled, "BLOCK", threads.BLOCK)
