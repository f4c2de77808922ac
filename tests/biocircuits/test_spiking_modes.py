"""The two modes: the same seed gives the same spikes in each; both need a compiler."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from biocircuits.spiking import Recording, backend, to_brian2
from rate_models.errors import UserError
from rate_models.network import NetworkSpec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("brian2") is None, reason="brian2 is not installed"),
    pytest.mark.skipif(backend.compiler() is None, reason="no C++ compiler"),
]
RNG = np.random.default_rng(1)
PARAMS = {"W": [RNG.normal(size=(6, 4)), RNG.normal(size=(3, 6))]}
X = RNG.random((6, 4))


def shown(mode: str, **options: Any) -> Recording:
    network = to_brian2(PARAMS, X, spec=NetworkSpec((4, 6, 3)), presentation="300 ms",
                        dt="0.5 ms", mode=mode, traces=["output.v[1]"], **options)  # fmt: skip
    recording = network.run()
    assert not backend.standalone()
    return recording


@pytest.mark.parametrize("mode", backend.MODES)
def test_the_same_seed_gives_the_same_spikes_within_a_mode(mode: str) -> None:
    first, again, other = (shown(mode, seed=seed, inputs="poisson") for seed in (3, 3, 4))
    for name, spikes in first.spikes.items():
        assert len(spikes.time) > 30
        assert np.array_equal(spikes.time, again.spikes[name].time)
        assert np.array_equal(spikes.neuron, again.spikes[name].neuron)
    assert not np.array_equal(first.spikes["input"].time[:30], other.spikes["input"].time[:30])


def test_the_modes_agree_where_nothing_is_drawn() -> None:
    """Without Poisson input the same equations, three times: in C++, by Cython, by NumPy."""
    cpp = shown("cpp_standalone", inputs="current")
    for target in ("cython", "numpy"):
        runtime = shown("runtime", inputs="current", target=target)
        for name, spikes in cpp.spikes.items():
            assert np.array_equal(spikes.neuron, runtime.spikes[name].neuron)
            assert np.abs(spikes.time - runtime.spikes[name].time).max() < 1e-9
        for name, traces in cpp.traces.items():
            assert np.abs(traces.values - runtime.traces[name].values).max() < 1e-9
            assert traces.values.std() > 1e-3


def test_a_program_that_does_not_compile_leaves_brian_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = to_brian2(PARAMS, X, spec=NetworkSpec((4, 6, 3)), mode="cpp_standalone")
    monkeypatch.setenv("PATH", "")
    with pytest.raises((UserError, RuntimeError, OSError)):
        network.run()
    assert not backend.standalone()
