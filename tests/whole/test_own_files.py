"""A rule, a source, a circuit, a paper in a file of one's own: found, remembered, refused."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import guides
import numpy as np
import pytest
from own import SOURCE

from rate_models import rules
from rate_models.checks import check_rule
from rate_models.errors import BadOption, DamagedCheckpoint, MissingData, OtherFile
from rate_models.network import NetworkSpec
from rate_models.rules import Rule
from rate_models.support import own_files
from streaming import OnlineLearner
from streaming.runs.config import RunConfig
from streaming.runs.going_on import go_on
from streaming.runs.run import Hooks, resume, run
from streaming.sources import open_source
from streaming.sweeps.sweep import cells

ALONE, WHOLE = guides.rule_files()

QUIET = Hooks(draw=False)

SMALL: dict[str, Any] = {"source": "synthetic:samples=60,features=5", "hidden": (6,), "lr": 0.02}


def slow_rule() -> Any:
    return pytest.warns(UserWarning, match="sign_symmetry has no kernel")


@pytest.mark.filterwarnings("ignore:rule sign_symmetry has no kernel")
class TestRule:
    def test_it_is_named_by_its_path_and_content(self, alone: Path) -> None:
        rule = rules.get(str(alone))
        assert rule.name == "sign_symmetry" and not rule.compiled
        path, _, digest = rule.reference.partition("#")
        assert (path, len(digest)) == (str(alone.resolve()), own_files.DIGITS)
        assert rules.get(rule.reference) is rules.get(rule) is rule
        assert pickle.loads(pickle.dumps(rule)) is copy.deepcopy(rule) is rule

    def test_a_relative_path_and_one_without_a_folder(
        self, alone: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(alone.parent)
        assert rules.get("sign_symmetry.py") is rules.get("./sign_symmetry.py")

    def test_an_edited_file_is_another_rule_and_no_longer_the_one_that_was_asked_for(
        self, alone: Path
    ) -> None:
        before = rules.get(str(alone))
        reference = before.reference
        alone.write_text(ALONE.replace("1.5", "1.6"))
        assert rules.get(str(alone)) is not before
        with pytest.raises(OtherFile, match=r"sign_symmetry.py: got a file that has changed.*put"):
            rules.get(reference)
        alone.unlink()
        with pytest.raises(MissingData, match="put it back where it was"):
            rules.get(reference)

    def test_others_must_not_be_able_to_change_what_a_checkpoint_names(self, alone: Path) -> None:
        reference = rules.get(str(alone)).reference
        alone.chmod(0o666)
        with pytest.raises(OtherFile, match="others can write to it: chmod go-w"):
            rules.get(reference)

    def test_it_learns_online_with_a_warning_that_this_is_slow(self, alone: Path) -> None:
        with slow_rule():
            learner = OnlineLearner(rule=str(alone), sizes=(4, 6, 3), momentum=0.5, dropout=0.2)
        X, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3
        learner.learn_many(X, y)
        twin = copy.deepcopy(learner)
        for one in (learner, twin):
            one.learn_many(X, y)
        assert learner.predict_many(X).tolist() == twin.predict_many(X).tolist()
        assert learner.samples_seen == 40

    def test_a_checkpoint_goes_on_with_the_same_file_alone(self, alone: Path) -> None:
        learner = OnlineLearner(rule=rules.get(str(alone)), sizes=(4, 6, 3))
        learner.learn_one([1, 0, 1, 0], 1)
        folder = alone.parent / "checkpoint"
        learner.save(folder)
        assert OnlineLearner.load(folder).samples_seen == 1
        alone.write_text(ALONE + "# a word more\n")
        with pytest.raises(OtherFile, match="a file that has changed"):
            OnlineLearner.load(folder)
        alone.write_text(ALONE)
        alone.rename(alone.with_suffix(".bak"))
        with pytest.raises(MissingData, match="expected a file of Python"):
            OnlineLearner.load(folder)

    def test_runs_resume_go_on_and_refuse(self, alone: Path, tmp_path: Path) -> None:
        config = RunConfig.checked(rule=str(alone), samples=30, **SMALL)
        run(config, tmp_path / "half", QUIET)
        kept = json.loads((tmp_path / "half" / "config.json").read_text())
        assert kept["rule"] == rules.get(str(alone)).reference
        summary = go_on(tmp_path / "half", {}, tmp_path / "on", QUIET)
        assert (summary["rule"], summary["samples_seen"]) == ("sign_symmetry", 60)
        calls = iter([False, True])
        stop = Hooks(draw=False, stop=lambda: next(calls))
        long = config.model_copy(update={"samples": None, "epochs": 20})
        run(long, tmp_path / "stopped", stop)
        alone.write_text(ALONE.replace("1.5", "1.6"))
        for again in (resume, lambda folder, hooks: go_on(folder, {}, tmp_path / "more", hooks)):
            with pytest.raises(OtherFile, match="with which the run or checkpoint was made"):
                again(tmp_path / "stopped", QUIET)
        alone.write_text(ALONE)
        assert resume(tmp_path / "stopped", QUIET)["samples_seen"] == 1200

    def test_a_sweep_distinguishes_contents(self, alone: Path) -> None:
        (one,) = cells({"rule": str(alone), **SMALL}, {"seed": [0]})
        alone.write_text(ALONE.replace("1.5", "1.6"))
        (other,) = cells({"rule": str(alone), **SMALL}, {"seed": [0]})
        assert one.run["rule"] != other.run["rule"]
        config = RunConfig.checked(**other.config.model_dump(mode="json"))  # as a worker gets it
        assert config.rule == other.config.rule

    def test_another_process_takes_over_a_learner(self, alone: Path) -> None:
        learner = OnlineLearner(rule=str(alone), sizes=(4, 6, 3))
        code = (
            "import pickle, sys, warnings; warnings.simplefilter('ignore')\n"
            "learner = pickle.load(sys.stdin.buffer); learner.learn_one([1, 0, 1, 0], 1)\n"
            "print(learner.rule, learner.samples_seen)"
        )
        done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(learner),
                              capture_output=True, cwd=guides.ROOT)  # fmt: skip
        assert done.stdout.decode().split() == ["sign_symmetry", "1"], done.stderr.decode()

    def test_an_imported_module_is_its_file(
        self, alone: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.syspath_prepend(alone.parent)
        import sign_symmetry  # type: ignore[import-not-found]

        monkeypatch.delitem(sys.modules, "sign_symmetry")
        learner = OnlineLearner(rule=sign_symmetry.RULE, sizes=(4, 6, 3))
        assert learner.network.definition.reference.startswith(str(alone.resolve()))

    def test_in_batches(self, alone: Path) -> None:
        pytest.importorskip("torch")
        from rate_models.batch import BatchNetwork

        net = BatchNetwork(NetworkSpec((4, 6, 3)), str(alone), dtype="float64")
        net.fill_grad(np.eye(4), np.array([0, 1, 2, 0]))
        assert copy.deepcopy(net).definition is net.definition

    def test_it_has_no_schedule_but_one_sample_after_another(self, alone: Path) -> None:
        with pytest.raises(BadOption, match="no kernel: batch alone; expected teach and tasks"):
            OnlineLearner(rule=str(alone), schedule="pipelined", workers=2)

    def test_the_check_passes_over_what_is_not_there_yet(self, alone: Path) -> None:
        report = check_rule(str(alone), only=["kernel = textbook, float64", "own arrays"])
        assert report.ok and [line.ok for line in report.lines] == [True, None]


def test_a_rule_typed_at_a_prompt_learns_but_cannot_be_saved(tmp_path: Path) -> None:
    drtp = rules.get("drtp")
    typed = Rule(
        "typed",
        losses=drtp.losses,
        properties=drtp.properties,
        own=drtp.own,
        hyperparameters=drtp.hyperparameters,
        batch=drtp.batch,
    )
    with pytest.warns(UserWarning, match="no kernel"):
        learner = OnlineLearner(rule=typed, sizes=(4, 6, 3))
    learner.learn_one([1, 0, 1, 0], 1)
    with pytest.raises(BadOption, match=r"rule typed: got one that has no file.*file of its own"):
        learner.save(tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint").exists()


def test_a_source_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ones.py"
    path.write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    source = open_source("./ones.py:50")
    assert source.name.startswith(f"{path.resolve()}#") and source.name.endswith(":50")
    monkeypatch.chdir("/")
    assert open_source(source.name).length == source.length
    config = RunConfig.checked(source=f"{path}:50", rule="backprop", hidden=(4,), samples=10)
    summary = run(config, tmp_path / "run", QUIET)
    assert summary["source"] == source.name
    assert go_on(tmp_path / "run", {}, tmp_path / "on", QUIET)["samples_seen"]
    path.write_text(SOURCE + "# more\n")
    with pytest.raises(OtherFile, match=r"source .*ones.py: got a file that has changed"):
        go_on(tmp_path / "run", {}, tmp_path / "again", QUIET)


def test_a_circuit_of_ones_own(tmp_path: Path) -> None:
    from biocircuits import CircuitNetwork
    from biocircuits.circuits import pepita

    path = tmp_path / "mine.py"
    text = Path(pepita.__file__).read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    learner = OnlineLearner(circuit=str(path), sizes=(4, 6, 3))
    learner.learn_one([1, 0, 1, 0], 1)
    net = learner.network
    assert isinstance(net, CircuitNetwork) and net.circuit.name == "mine"
    learner.save(tmp_path / "checkpoint")
    for again in (OnlineLearner.load(tmp_path / "checkpoint"), pickle.loads(pickle.dumps(learner))):
        np.testing.assert_array_equal(again.parameters()["W"][0], learner.parameters()["W"][0])
    path.write_text(text + "# more\n", encoding="utf-8")
    with pytest.raises(OtherFile, match=r"circuit .*mine.py: got a file that has changed"):
        OnlineLearner.load(tmp_path / "checkpoint")


def test_a_checkpoint_that_is_damaged_is_still_called_so(tmp_path: Path, alone: Path) -> None:
    with slow_rule():
        OnlineLearner(rule=str(alone), sizes=(4, 6, 3)).save(tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "arrays.safetensors").write_bytes(b"")
    with pytest.raises(DamagedCheckpoint, match="0 bytes"):
        OnlineLearner.load(tmp_path / "checkpoint")
