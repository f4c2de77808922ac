"""What tests of several files ask for."""

import hypothesis
import pytest
import threads

from streaming.threads import network

# The same cases each time, however busy the machine is; others: --hypothesis-profile=default
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads meet after every few samples."""
    monkeypatch.setattr(network, "BLOCK", threads.BLOCK)
