"""Spikes as NWB, networks as NIR that another simulator opens, and pictures."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from biocircuits.spiking import Recording, SpikingNetwork, backend, to_brian2
from biocircuits.spiking.conversion.export import to_nir, to_nwb
from biocircuits.spiking.pictures import draw_membranes, overview
from biocircuits.spiking.recording import rank_correlation
from rate_models.errors import BadOption, MissingExtra
from rate_models.network import NetworkSpec

pytestmark = pytest.mark.skipif(find_spec("brian2") is None, reason="brian2 is not installed")
RNG = np.random.default_rng(0)
PARAMS = {"W": [RNG.normal(size=(6, 4)), RNG.normal(size=(3, 6))]}
X = RNG.random((4, 4))
LIVELY = int((X @ PARAMS["W"][0].T).sum(axis=0).argmax())
START = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def ran() -> Any:
    network = to_brian2(
        PARAMS, X, RNG.random((100, 4)), spec=NetworkSpec((4, 6, 3)), presentation="200 ms",
        peak="100 Hz", dt="1 ms", target="numpy",
        traces=[f"hidden_1.{v}[{LIVELY}]" for v in ("v", "v_dendrite")],
    )  # fmt: skip
    yield network, network.run()
    backend.runtime()


def test_an_nwb_file_is_valid_and_has_every_spike(
    ran: tuple[SpikingNetwork, Recording], tmp_path: Path
) -> None:
    pynwb = pytest.importorskip("pynwb")
    _, recording = ran
    path = to_nwb(recording, tmp_path / "spikes.nwb", "four samples", START)
    assert [p.name for p in tmp_path.iterdir()] == ["spikes.nwb"]
    assert not pynwb.validate(path=str(path))
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        units = file.units.to_dataframe()
        assert len(units) == 4 + 6 + 3
        for name, spikes in recording.spikes.items():
            mine = units[units.population == name]
            assert list(mine.neuron) == list(range(spikes.size))
            for number, times in zip(mine.neuron, mine.spike_times, strict=True):
                assert_array_equal(times, spikes.time[spikes.neuron == number])
        assert sum(len(t) for t in units.spike_times) == sum(
            len(s.time) for s in recording.spikes.values()
        )
        series = file.acquisition["hidden_1.v_dendrite"]
        assert series.unit == "volts" and series.data.shape == (800, 1)
        assert_array_equal(file.trials["stop_time"][:], 0.2 * np.arange(1, 5))
    with pytest.raises(BadOption, match="time zone"):
        to_nwb(recording, path, start=datetime(2026, 1, 2))


def trains(network: SpikingNetwork, step: float, duration: float) -> np.ndarray:
    """Poisson spikes of the input (samples, steps, n_0)."""
    rates = network.target_rates()["input"]
    draws = np.random.default_rng(0).random((len(rates), int(duration / step), rates.shape[1]))
    return (draws < rates[:, None] * step).astype(float)


def by_hand(graph: Any, given: np.ndarray) -> dict[str, np.ndarray]:
    """NIR's LIF, step by step: v decays by exp(−1/τ), gains its input, fires at 1, loses 1."""
    spikes, signal = {}, given
    after, name = dict(graph.edges), "input"
    while (name := after[name]) != "out":
        node = graph.nodes[name]
        if type(node).__name__ == "Affine":
            signal = signal @ node.weight.T + node.bias
            continue
        v, fired = np.zeros(signal.shape[::2]), np.zeros_like(signal)
        for t in range(signal.shape[1]):
            v = np.exp(-1 / node.tau) * v + signal[:, t]
            fired[:, t] = np.floor(np.clip(v, 0, None))
            v = v - fired[:, t]
        spikes[name] = signal = fired
    return spikes


def test_a_nir_graph_fires_at_the_target_rates(
    ran: tuple[SpikingNetwork, Recording], tmp_path: Path
) -> None:
    nir = pytest.importorskip("nir")
    network, _ = ran
    to_nir(network, tmp_path / "net.nir", author="a person")
    graph = nir.read(tmp_path / "net.nir")
    assert set(graph.nodes) == {"input", "W_1", "hidden_1", "W_2", "output", "out"}
    assert graph.metadata["author"] == b"a person" or graph.metadata["author"] == "a person"
    assert float(graph.metadata["peak_hertz"]) == 100
    spikes = by_hand(graph, trains(network, 1e-3, 3.0))
    for name, wanted in network.target_rates().items():
        if name != "input":
            assert rank_correlation(wanted, spikes[name].sum(axis=1) / 3.0) > 0.9
    with pytest.raises(BadOption, match=r"step: got 0\.01 s"):
        to_nir(network, step="10 ms")


def test_a_nir_file_opens_in_sinabs(ran: tuple[SpikingNetwork, Recording], tmp_path: Path) -> None:
    nir = pytest.importorskip("nir")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch = pytest.importorskip("torch")
        pytest.importorskip("sinabs")
        from sinabs.nir import from_nir
    network, _ = ran
    to_nir(network, tmp_path / "net.nir")
    graph = nir.read(tmp_path / "net.nir")
    given = trains(network, 1e-3, 0.5)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        net = from_nir(graph, batch_size=len(given))
        fired = net(torch.tensor(given.reshape(-1, 4), dtype=torch.float32))
    fired = (fired[0] if isinstance(fired, tuple) else fired).numpy().reshape(len(given), -1, 3)
    wanted = by_hand(graph, given)["output"]
    assert wanted.sum() > 50
    assert np.abs(fired - wanted).sum() <= 0.01 * wanted.sum()  # float32 against float64


@pytest.mark.parametrize(("module", "extra"), [("pynwb", "record"), ("nir", "nir")])
def test_a_missing_extra_is_reported_with_its_install_command(
    ran: tuple[SpikingNetwork, Recording], module: str, extra: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import sys

    network, recording = ran
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"dendrostream\[{extra}\]"):
        to_nwb(recording, tmp_path / "a") if module == "pynwb" else to_nir(network)


def test_pictures(ran: tuple[SpikingNetwork, Recording], tmp_path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    network, recording = ran
    curves = {"rate": {50.0: 0.5, 200.0: 0.75}}
    model = network.target_rates()
    path = overview(recording, model, curves, 0.9, tmp_path / "a.png", "title", [3, 1, 4, 1])
    assert imread(path).std() > 0.05
    axes = Figure().subplots()
    draw_membranes(recording, axes, "hidden_1", 1)
    soma, dendrite = axes.lines[0], axes.lines[1]
    assert (soma.get_label(), dendrite.get_label()) == ("soma", "dendrite")
    assert soma.get_xdata()[0] == pytest.approx(-100) and len(soma.get_xdata()) == 401
    times = recording.spikes["hidden_1"].time[recording.spikes["hidden_1"].neuron == LIVELY]
    inside = times[(times >= 0.1) & (times <= 0.5)]
    assert len(axes.collections[0].get_segments()) == len(inside) > 3
    with pytest.raises(BadOption, match=r"traces=\['output\.v\[0\]'"):
        draw_membranes(recording, axes, "output")
