"""Commands that would take hours or fill the memory are refused in advance."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_one_error, called

from rate_models.errors import BadOption
from rate_models.support import estimates
from streaming.benchmarks import bench
from streaming.spikes import conversion
from streaming.spikes.options import SpikingOptions


@pytest.mark.parametrize(
    "options", [{"seconds": 1e9}, {"seconds": float("inf")}, {"repeats": 10**6},
                {"repeats": 10**400}, {"seconds": 100.0, "repeats": 5}],
)  # fmt: skip
def test_a_benchmark(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "speeds", None)  # nothing is measured
    with pytest.raises(
        BadOption, match=r"bench: got [\d,]+ measurements of .* an hour at most; choose"
    ):
        bench.run(**options)


def test_a_benchmark_of_minutes_is_no_hours() -> None:
    bench._check_length(2000, 0.5)


@pytest.mark.skipif(find_spec("brian2") is None, reason="brian2 is not installed")
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--presentation", 10**8, "--dt", 0.001), "22 hours"),
        (("--presentation", 10**30), "memory"),
        (("--presentation", 100_000, "--dt", "1e-8"), "90 days"),
    ],
)
def test_spikes(
    options: tuple[Any, ...], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("--samples", 1, "--hidden", 4, "--out", tmp_path / "o", "--json")
    done = called(capsys, "spiking", *few, *options)
    assert_one_error(done, "--presentation: got 1 samples of", word)
    assert not (tmp_path / "o").exists()


def check(units: int, samples: int, presentation: int, dt: float) -> None:
    asked = SpikingOptions(presentation=presentation, dt=dt)
    conversion._check_length(asked, units, samples)


@pytest.mark.skipif(find_spec("brian2") is None, reason="brian2 is not installed")
def test_spikes_that_take_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default of the command, and a larger number that is reasonable."""
    check(202, 200, 1000, 0.25)
    check(1804, 10_000, 500, 0.5)
    check(202, 200, 1000, 0.0)  # another check refuses this step
    monkeypatch.setattr(estimates, "free_memory", lambda: 1000 * 24)
    check(1, 10, 100, 1.0)
    with pytest.raises(BadOption, match="of memory"):
        check(1, 10, 101, 1.0)
