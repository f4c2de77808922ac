"""``--record``: its files and figures; it does not affect learning and survives a kill."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_runs import SIGNALLED, TIMES, script

from rate_models.diagnostics import measures
from rate_models.diagnostics.recordables import RECORDABLES
from rate_models.errors import BadOption, UnknownName
from rate_models.network import one_hot
from streaming import OnlineLearner
from streaming.cli import main
from streaming.runs.config import RunConfig
from streaming.runs.run import Hooks, Run, resume, run
from streaming.sources import open_source

ALL = tuple(RECORDABLES)
OPTIONS = {
    "source": "synthetic:samples=1800,features=6",
    "hidden": (8, 6),
    "epochs": 2,
    "interval": 300,
    "save_every": 700,
    "scale": "running",
    "lr": 0.003,
    "settings": {"momentum": 0.9, "dropout": 0.2},
}
ARGUMENTS = [
    *("--source", "synthetic:samples=1800,features=6", "--hidden", "8,6", "--epochs", "2"),
    *("--interval", "300", "--save-every", "700", "--scale", "running"),
    *("--lr", "0.003", "--set", "momentum=0.9", "--set", "dropout=0.2"),
    *(word for name in ALL for word in ("--record", name)),
]


def config(**options: Any) -> RunConfig:
    return RunConfig.checked(**{**OPTIONS, **options})


def lines(folder: Path, name: str = "record") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert run(config(record=ALL), folder)["stopped"] == "epochs"
    return folder


def test_a_line_before_learning_and_one_with_every_line_of_metrics(undisturbed: Path) -> None:
    found = lines(undisturbed)
    counts = [line["samples"] for line in lines(undisturbed, "metrics")]
    assert [line["samples"] for line in found] == [0, *counts]
    labels = {name: list(values) for name, values in found[-1]["values"].items()}
    layers = ["W_1", "W_2", "W_3"]
    assert labels == {
        "alignment_angle": ["F"],
        "sign_congruence": ["F"],
        "relative_error": ["F"],
        "weight_norms": layers,
        "teaching_angles": layers,
        "update_norms": layers,
    }
    assert all(set(line) == {"samples", "values"} for line in found)
    numbers = [n for line in found[1:] for v in line["values"].values() for n in v.values()]
    assert all(isinstance(n, float) and math.isfinite(n) for n in numbers)


def test_what_is_written_is_what_the_checkpoint_holds(undisturbed: Path) -> None:
    learner = OnlineLearner.load(undisturbed / "checkpoint")
    values, params = lines(undisturbed)[-1]["values"], learner.parameters()
    assert list(values["weight_norms"].values()) == measures.weight_norms(params)
    assert values["alignment_angle"] == measures.alignment_angle(params)
    X, y = next(iter(open_source(OPTIONS["source"]).test(200)))
    x = learner._scaler.transform(X[:200])
    targets = one_hot(np.asarray(y[:200]), 4)
    truth = measures.true_gradient(learner.network.spec, params, x, targets)
    deltas = measures.updates(learner.network.spec, "pepita", params, x, targets)
    wanted = measures.teaching_angles(deltas, truth)
    assert list(values["teaching_angles"].values()) == pytest.approx(wanted, abs=1e-3)


def test_recording_changes_nothing_that_is_learned(undisturbed: Path, tmp_path: Path) -> None:
    run(config(), tmp_path / "r")
    assert not (tmp_path / "r" / "record.jsonl").exists()
    assert not (tmp_path / "r" / "record.png").exists()
    ours, theirs = (f / "checkpoint" / "arrays.safetensors" for f in (tmp_path / "r", undisturbed))
    assert ours.read_bytes() == theirs.read_bytes()
    with_it, without = (
        [{k: v for k, v in line.items() if k not in TIMES} for line in lines(folder, "metrics")]
        for folder in (undisturbed, tmp_path / "r")
    )
    assert with_it == without


def test_one_panel_is_drawn_for_each_name(undisturbed: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    assert imread(undisturbed / "record.png").std() > 0.05
    run(config(record=("weight_norms",), epochs=1), tmp_path / "r")
    one, six = (imread(folder / "record.png").shape for folder in (tmp_path / "r", undisturbed))
    assert six[0] > 1.5 * one[0] and six[1] > 1.5 * one[1]


@pytest.mark.parametrize("at", [250, 650, 2300])
def test_kill_9(undisturbed: Path, tmp_path: Path, at: int) -> None:
    folder = tmp_path / "r"
    done = script(SIGNALLED, at, signal.SIGKILL.value, "run", "--out", folder, *ARGUMENTS)
    assert done.returncode == -signal.SIGKILL, done.stderr
    resume(folder)
    assert (folder / "record.jsonl").read_bytes() == (undisturbed / "record.jsonl").read_bytes()
    assert (folder / "record.png").exists()


def test_a_stop_anywhere_and_torn_lines(undisturbed: Path, tmp_path: Path) -> None:
    for at in (1, 300, 1800, 2048):
        folder, seen = tmp_path / str(at), [0]

        def watch(run: Run, seen: list[int] = seen) -> None:
            seen[0] = run.position

        hooks = Hooks(stop=lambda at=at, seen=seen: seen[0] >= at, watch=watch)  # type: ignore[misc]
        assert run(config(record=ALL), folder, hooks)["stopped"] == "interrupted"
        with open(folder / "record.jsonl", "a") as file:
            file.write('{"samples": 9999, "val')
        resume(folder)
        ours, theirs = (f / "record.jsonl" for f in (folder, undisturbed))
        assert ours.read_bytes() == theirs.read_bytes()


def test_lost_lines_are_noticed(tmp_path: Path) -> None:
    seen = [0]
    hooks = Hooks(lambda: seen[0] > 800, watch=lambda run: seen.__setitem__(0, run.position))
    run(config(record=("weight_norms",)), tmp_path / "r", hooks)
    (tmp_path / "r" / "record.jsonl").unlink()
    with pytest.warns(UserWarning, match=r"record\.jsonl: line 1 is missing, of 4"):
        resume(tmp_path / "r")


def test_an_unknown_name_gives_the_list(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"alignment_angle.*did you mean 'weight_norms'") as error:
        run(config(record=("weight_norm",)), tmp_path / "r")
    assert all(name in str(error.value) for name in ALL)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("name", ["alignment_angle", "sign_congruence", "relative_error"])
def test_a_rule_without_feedback_is_refused_before_the_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadOption, match=rf"--record {name} with rule backprop.*no F and no B"):
        run(config(rule="backprop", record=(name,)), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["run", "--source", "synthetic:samples=600,features=6", "--hidden", "8", "--quiet"]
    with pytest.raises(SystemExit) as done:
        main([*base, "--out", str(tmp_path / "r"), "--record", "weight_norms",
              "--record", "weight_norms"])  # fmt: skip
    assert done.value.code == 0
    assert str(tmp_path / "r" / "record.png") in capsys.readouterr().out
    assert list(lines(tmp_path / "r")[0]["values"]) == ["weight_norms"]
    with pytest.raises(SystemExit) as done:
        main([*base, "--out", str(tmp_path / "s"), "--record", "W"])
    assert done.value.code == 2 and "update_norms" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in ALL)


def test_backpropagation_is_at_no_angle_to_itself(tmp_path: Path) -> None:
    run(config(rule="backprop", record=("teaching_angles",)), tmp_path / "r")
    values = [line["values"]["teaching_angles"] for line in lines(tmp_path / "r")]
    # before learning too, where the running scale knows only the samples of the batch
    assert all(angle == 0 for v in values for angle in v.values())


@pytest.mark.parametrize(("sign", "low", "high"), [(1, 94, 120), (-1, 60, 86)])
def test_pepita_turns_away_from_its_feedback_or_towards_it(
    tmp_path: Path, sign: int, low: float, high: float
) -> None:
    """The paper's angle: from 90 degrees up with s = +1; down with s = -1 (SPEC A5, A6)."""
    options = {"source": "digits", "epochs": 4, "record": ("alignment_angle",)}
    run(RunConfig.checked(**options, settings={"sign": sign}), tmp_path / "r")
    angles = [line["values"]["alignment_angle"]["F"] for line in lines(tmp_path / "r")]
    assert abs(angles[0] - 90) < 4 and low < angles[-1] < high


def test_the_noise_of_the_probe_is_fixed(tmp_path: Path) -> None:
    """A rule with noise is probed with the same noise at every line."""
    options = {"settings": {"modulation": "random"}, "record": ("update_norms",), "lr": 1e-30}
    with pytest.warns(UserWarning, match="hidden weights have not changed"):
        run(config(**options, scale="none"), tmp_path / "r")
    values = [line["values"] for line in lines(tmp_path / "r")]
    assert values[0] == values[-1] and values[0]["update_norms"]["W_1"] > 0


def test_a_stream_without_held_out_samples_is_probed_with_its_first(tmp_path: Path) -> None:
    endless = config(source="synthetic:features=6", samples=600, record=("teaching_angles",))
    run(endless, tmp_path / "r")
    assert lines(tmp_path / "r")[-1]["values"]["teaching_angles"]["W_3"] < 90
