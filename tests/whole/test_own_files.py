"""A rule, a source, a circuit, a paper in a file of one's own: found, remembered, refused."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import guides
import numpy as np
import pytest
from command_line import called

from rate_models import rules
from rate_models.checks import check_rule
from rate_models.compiler import foreign
from rate_models.errors import BadOption, DamagedCheckpoint, MissingData, OtherFile, UnknownName
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from rate_models.online.textbook import TextbookNetwork
from rate_models.rules import RULES, Properties, Rule
from rate_models.support import lookup, own_files
from streaming import OnlineLearner
from streaming.runs.config import RunConfig
from streaming.runs.going_on import go_on
from streaming.runs.run import Hooks, resume, run
from streaming.sources import open_source
from streaming.sweeps.sweep import cells

ALONE, WHOLE = guides.rule_files()
QUIET = Hooks(draw=False)
SMALL: dict[str, Any] = {"source": "synthetic:samples=60,features=5", "hidden": (6,), "lr": 0.02}
SOURCE = '''"""ones:N: N samples of ones and zeros."""
import numpy as np
from streaming.sources import ArraySource, SourceFile

def open(argument, options):
    n = int(argument or 40)
    X = np.random.default_rng(0).random((n, 3))
    return ArraySource(X, X[:, 0] > 0.5, name=f"ones:{n}", seed=options.seed)

SOURCE = SourceFile(__name__, open=open)
'''


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """The guide's rule with `batch` alone, which needs no compiler."""
    path = tmp_path / "sign_symmetry.py"
    path.write_text(ALONE)
    return path


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "mine: got a file without RULE; expected RULE = Rule.* at its end; add"),
        ("RULE = 'drtp'", "file of rule mine: got RULE = 'drtp'; expected RULE = Rule"),
        ("def f(:", "got line 1: SyntaxError"),
        ("\n\nimport nothing_of_that_name", "line 3: ModuleNotFoundError.*must be installed"),
        ("\nraise KeyError('x')", "line 2: KeyError"),
        (ALONE.replace("batch=batch)", "batch=batch, teach=batch)"), "got no tasks; expected"),
    ],
)
def test_a_file_that_is_no_rule_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(BadOption, match=message):
        rules.get(str(path))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"rule .*none.py: got No such file"):
        rules.get(str(tmp_path / "none.py"))
    with pytest.raises(UnknownName, match=r"a file of your own: ./NAME.py"):
        rules.get("qqqqqqq")


def test_a_textbook_network_is_the_kernel_up_to_rounding() -> None:
    from rate_models.model.optimizers import Optimizer
    from rate_models.online.network import OnlineNetwork

    spec, optimizer = NetworkSpec((6, 5, 4, 3), bias=True), Optimizer(0.02, 0.5, 1e-3, (10,))
    x, labels = np.random.default_rng(0).normal(size=(30, 6)), np.arange(30) % 3
    nets = [kind(spec, "pepita", seed=1, optimizer=optimizer, dropout=0.2)
            for kind in (OnlineNetwork, TextbookNetwork)]  # fmt: skip
    online, book = (net.learn(x, labels) for net in nets)
    np.testing.assert_allclose(online.outputs, book.outputs, atol=1e-12)
    np.testing.assert_allclose(online.losses, book.losses, atol=1e-12)
    assert online.predicted.tolist() == book.predicted.tolist()
    mine, theirs = (net.parameters() for net in nets)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        several = value if isinstance(value, list) else [value]
        others = theirs[name] if isinstance(value, list) else [theirs[name]]
        for a, b in zip(several, others, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


def kernel_digest(path: Path) -> str:
    """What the kernel cache knows of a rule's file."""
    net = OnlineNetwork(NetworkSpec((2, 2, 2)), rules.get(str(path)))
    return foreign.digest(net._kernel._cache._function)


def test_kernels_are_kept_by_the_content_of_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.py"
    found = []
    for text in (WHOLE, WHOLE.replace("scale * np.sign", "-scale * np.sign"), WHOLE + "# more\n"):
        path.write_text(text)
        found.append(kernel_digest(path))
    assert len(set(found)) == 3 and "" not in found
    path.write_text(WHOLE)
    assert kernel_digest(path) == found[0]
    assert foreign.digest(OnlineNetwork(NetworkSpec((2, 2)))._kernel._cache._function) == ""


def test_kernels_are_kept_by_what_their_file_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A helper that is installed: its functions and numbers, at any depth."""
    helper = tmp_path / "helper_of_mine.py"
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "mine.py"
    text = WHOLE.replace("scale * np.sign(", "helper_of_mine.factor(scale) * np.sign(")
    path.write_text(text.replace("import numpy as np", "import helper_of_mine\nimport numpy as np"))
    found = []
    for number, sign in ((1.0, ""), (2.0, ""), (1.0, "-")):
        helper.write_text(
            "from rate_models.compiler.kernel import stage\n"
            f"NUMBER = {number}\n"
            "@stage\ndef inner(x):\n    return x * NUMBER\n"
            f"@stage\ndef factor(x):\n    return {sign}inner(x)\n"
        )
        monkeypatch.delitem(sys.modules, "helper_of_mine", raising=False)
        own_files._modules.clear()  # as another process would
        found.append(kernel_digest(path))
    assert len(set(found)) == 3


LEARNED = """
import sys, warnings, numpy as np
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
net = OnlineNetwork(NetworkSpec((4, 3, 2)), sys.argv[1], seed=0)
net.learn(np.eye(4), [0, 1, 0, 1])
print(repr(net.parameters()["W"][0].tolist()))
"""


@pytest.mark.slow
def test_an_edited_file_never_runs_stale_kernels(tmp_path: Path) -> None:
    path, env = tmp_path / "mine.py", {**os.environ, "DENDROSTREAM_CACHE": str(tmp_path / "cache")}

    def learned() -> str:
        done = subprocess.run([sys.executable, "-c", LEARNED, str(path)], env=env,
                              capture_output=True, text=True, cwd=guides.ROOT)  # fmt: skip
        assert not done.returncode, done.stderr
        return done.stdout

    path.write_text(WHOLE)
    first, kept = learned(), len(list((tmp_path / "cache").rglob("*-*")))
    assert learned() == first and len(list((tmp_path / "cache").rglob("*-*"))) == kept
    path.write_text(WHOLE.replace("scale * np.sign", "-scale * np.sign"))
    assert learned() != first
    path.write_text(WHOLE)
    assert learned() == first


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


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution that offers rules and sources by entry points."""
    package = tmp_path / "offered_rules"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sign_symmetric.py").write_text(ALONE)
    (package / "pepita.py").write_text(ALONE)  # ours come first
    (tmp_path / "offered_ones.py").write_text(SOURCE)
    about = tmp_path / "offered-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[dendrostream.rules]\nmine = offered_rules\n\n[dendrostream.sources]\none = offered_ones\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_installed_packages_offer_rules_and_sources(
    installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "sign_symmetric" in rules.names()
    rule = rules.get("sign_symmetric")
    assert rule.reference == "sign_symmetric" and pickle.loads(pickle.dumps(rule)) is rule
    assert lookup.catalogue(RULES)["pepita"] == "rate_models.rules.pepita"
    assert open_source("offered_ones:30").n_features == 3
    listed = json.loads(called(capsys, "rules", "--json").out)
    assert "sign_symmetric" in listed["names"]


def test_an_entry_point_of_nothing_is_passed_over(installed: Path) -> None:
    points = installed / "offered-1.0.dist-info" / "entry_points.txt"
    points.write_text("[dendrostream.rules]\nmine = no_such_package\n")
    with pytest.warns(RuntimeWarning, match="of offered: got no module no_such_package"):
        assert "pepita" in rules.names()


def test_a_rule_needs_both_halves_of_a_kernel() -> None:
    properties = Properties(1, False, True, True, "full")

    def batch(*_: Any) -> Any:
        yield

    with pytest.raises(BadOption, match="got no teach; expected teach and tasks, or neither"):
        Rule("mine", losses=("mse",), properties=properties, batch=batch, tasks=lambda *_: [])


def test_check_by_the_command_line(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = alone.parent / "ones.py"
    source.write_text(SOURCE)
    done = called(capsys, "check", f"{source}:50", "--json")
    assert done.code == 0 and json.loads(done.out)["kind"] == "source"
    source.write_text(SOURCE.replace("default_rng(0)", "default_rng()"))
    done = called(capsys, "check", f"{source}:50")
    assert done.code == 1 and "FAILED  resume" in done.out and "FAILED  the same again" in done.out
    done = called(capsys, "check", str(alone.parent / "none.py"))
    assert done.code == 2 and "got No such file" in done.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine: got a file without RULE, CIRCUIT or SOURCE; expected RULE = Rule(...), "),
        ("RULE = 3", "mine: got RULE = 3; expected RULE = Rule(__name__, ...) at its end"),
        ("CIRCUIT = 3", "mine: got CIRCUIT = 3; expected CIRCUIT = CircuitFile(__name__, ...)"),
        ("SOURCE = 3", "mine: got SOURCE = 3; expected SOURCE = SourceFile(__name__, open=...)"),
        ("PAPER = 3", "mine: got a paper; expected RULE"),
    ],
)
def test_check_refuses_a_file_that_defines_nothing_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "mine.py").write_text(text)
    done = called(capsys, "check", str(tmp_path / "mine.py"))
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        (["run", "--rule", "mine.py"], "RULE"),
        (["run", "--source", "mine.py"], "SOURCE"),
        (["run", "--circuit", "mine.py"], "CIRCUIT"),
        (["paper", "./mine.py"], "PAPER"),
    ],
)
def test_a_file_that_lacks_its_object_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    words: list[str], holds: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("x = 1\n")
    done = called(capsys, *words)
    assert done.code == 2 and done.err.count("\n") == 1
    assert f"got a file without {holds}; expected {holds} = " in done.err
    assert "add this line, or name the file that has it" in done.err
