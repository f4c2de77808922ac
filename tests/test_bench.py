"""The benchmark runs, and says what a reader needs. Its numbers are for people, not for tests."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from rate_models.errors import BadOption
from streaming import bench

pytestmark = pytest.mark.filterwarnings("ignore:.*synchroniz")


def test_every_peer_is_timed_beside_ours() -> None:
    result = bench.run(seconds=1e-6, repeats=1)
    assert {"cpu", "python", "numba", "numpy"} <= result["machine"].keys()
    scenarios = {row["scenario"] for row in result["rows"]}
    assert scenarios == {"pepita-784-1024-10", "backprop-784-1024-10"}
    for row in result["rows"]:
        if row["peer"].startswith("torch") and find_spec("torch") is None:
            assert row["samples_per_second"] is None and row["ratio"] is None
        else:
            assert row["samples_per_second"] > 0 and row["ratio"] > 0
        if row["peer"] == "online kernel":
            assert row["ratio"] == 1


@pytest.mark.parametrize("bad", [{"seconds": 0}, {"seconds": float("nan")}, {"repeats": 0}])
def test_senseless_lengths_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(BadOption, match="above 0"):
        bench.run(**bad)
