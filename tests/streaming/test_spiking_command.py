"""``dendrostream spiking``: its output and its files."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from streaming import OnlineLearner
from streaming.cli import main
from streaming.sources import Options, open_source

pytestmark = pytest.mark.skipif(find_spec("brian2") is None, reason="brian2 is not installed")
SHORT = ["--samples", "3", "--presentation", "100", "--dt", "1", "--mode", "runtime"]


@pytest.fixture(autouse=True)
def by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    from biocircuits.spiking import backend

    monkeypatch.setattr(backend, "codegen_target", lambda target="auto": "numpy")


def test_it_trains_converts_shows_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "spiking",
        *SHORT,
        "--hidden",
        "32",
        "--floor",
        "50",
        "--out",
        str(tmp_path),
        "--json",
    ]
    with pytest.raises(SystemExit) as done:
        main(arguments)
    printed = capsys.readouterr().out
    assert done.value.code == 0 and printed.count("\n") == 1
    result = json.loads(printed)
    assert result["sizes"] == [64, 32, 10] and result["samples"] == 3
    assert set(result["accuracy"]) == {"rate", "first_spike"}
    assert list(result["accuracy_against_ms"]["rate"]) == ["25.0", "50.0", "100.0"]
    assert result["accuracy"]["rate"] == result["accuracy_against_ms"]["rate"]["100.0"]
    assert set(result["rank_correlation"]) == {"input", "hidden_1", "output"}
    assert result["files"] == [str(tmp_path / "spiking.png")]
    assert (tmp_path / "spiking.png").stat().st_size > 10_000


def test_a_checkpoint_is_converted_and_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pynwb")
    pytest.importorskip("nir")
    learner = OnlineLearner("backprop", (64, 16, 10), scale="range", maximum=16)
    learner.learn_many(*open_source("digits", Options()).train_arrays())
    learner.save(tmp_path / "checkpoint")
    with pytest.raises(SystemExit) as done:
        main([
            "spiking", *SHORT, "--checkpoint", str(tmp_path / "checkpoint"), "--nwb", "--nir",
            "--readout", "membrane", "--inputs", "current", "--out", str(tmp_path / "out"),
        ])  # fmt: skip
    printed = capsys.readouterr().out
    assert done.value.code == 0 and "by membrane" in printed and "rank correlation" in printed
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"spiking.png", "spiking.nwb", "network.nir"}


def test_wrong_options_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, message in (
        (["--samples", "0"], "--samples"),
        (["--dt", "5"], "shorten the step"),
        (["--floor", "100"], "floor: got 100"),
    ):
        with pytest.raises(SystemExit) as done:
            main(["spiking", *SHORT, "--hidden", "16", *wrong, "--out", str(tmp_path)])
        assert done.value.code == 2
        assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("kind", ["csv", "synthetic"])
def test_a_stream_that_is_not_held_in_memory(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = "synthetic:samples=400,features=4,classes=2"
    if kind == "csv":
        rows = [f"{i % 2 * 2 - 1 + i % 5 / 20},{i % 3},{i % 2}" for i in range(200)]
        (tmp_path / "t.csv").write_text("\n".join(["a,b,label", *rows, ""]))
        source = f"csv:{tmp_path / 't.csv'}"
    arguments = ["--hidden", "16", "--source", source, "--out", str(tmp_path), "--json"]
    assert main_ends("spiking", *SHORT, *arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["samples"] == 3 and result["sizes"][1:] == [16, 2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "synthetic"], "--source: got synthetic, which holds nothing out"),
        (["--source", "csv:nowhere.csv"], "nowhere.csv"),
        (["--source", "nothing"], "nothing"),
        (["--hidden", "0"], "sizes"),
        (["--seed", "-1"], "seed: got -1"),
    ],
)
def test_unsuitable_samples_give_one_message(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_ends("spiking", *SHORT, "--out", str(tmp_path), *arguments) == 2
    printed = capsys.readouterr().err.splitlines()
    assert printed[-1].startswith("error: ") and words in printed[-1]


def test_a_checkpoint_of_another_shape_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    OnlineLearner("backprop", (5, 4, 3)).save(tmp_path / "c")
    assert main_ends("spiking", *SHORT, "--checkpoint", str(tmp_path / "c")) == 2
    assert "got digits, 64 features in 10 classes; expected 5 features in 3" in (
        capsys.readouterr().err
    )


def test_seeds_of_more_than_32_bits(tmp_path: Path) -> None:
    from biocircuits.spiking import backend

    assert backend.seed_of(2**32 - 1) == 2**32 - 1
    large = [backend.seed_of(2**32 + i) for i in range(5)] + [backend.seed_of(10**40)]
    assert len(set(large)) == 6 and all(0 <= seed < 2**32 for seed in large)
    arguments = ["--hidden", "8", "--seed", str(2**40), "--out", str(tmp_path), "--json"]
    assert main_ends("spiking", *SHORT, *arguments) == 0


def main_ends(*arguments: str) -> int:
    with pytest.raises(SystemExit) as done:
        main(list(arguments))
    return int(done.value.code or 0)
