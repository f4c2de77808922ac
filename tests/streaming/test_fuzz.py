"""Random input: it works, or gives one clear error. There is no other error, no signal, no endless
loop and no excessive memory.

500 cases in the fast tests, 10,000 in the slow ones.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import numpy as np
import pytest
import typer
from hostile import bounded_memory, guarded, hostile, refused
from hypothesis import strategies as st

from rate_models.errors import BadOption
from rate_models.model.optimizers import Optimizer
from rate_models.rules import node_perturbation, pepita
from streaming import cli, progress
from streaming.learner.learner import OnlineLearner
from streaming.runs.config import RunConfig
from streaming.sources import open_source

SIZES = (3, 4, 2)
SMALL = "synthetic:samples=50,features=3,classes=2"


def cases(fast: int, slow: int) -> pytest.MarkDecorator:
    """The number of cases of a test, in the fast and in the slow tests."""
    return pytest.mark.parametrize("n", [fast, pytest.param(slow, marks=pytest.mark.slow)])


HYPERPARAMETERS = {
    *Optimizer._fields, *pepita.Hyperparameters._fields, *node_perturbation.Hyperparameters._fields
}  # fmt: skip
ARGUMENTS = [*list(inspect.signature(OnlineLearner).parameters)[:-1], *sorted(HYPERPARAMETERS),
             "self", "nonsense"]  # fmt: skip
KINDS = (
    {}, {"dtype": "float32"}, {"classes": ("a", "b"), "on_bad": "skip"}, {"loss": "mse"},
    {"rule": "node_perturbation"},
    {"task": "regression", "scale": "running", "sizes": (3, 4, 1)}, {"circuit": "pepita"},
    {"schedule": "delayed:2", "dtype": "float32"},
)  # fmt: skip


def made(kind: dict[str, Any], **more: Any) -> OnlineLearner:
    return OnlineLearner(**{"sizes": SIZES, **kind, **more})


def label_of(learner: OnlineLearner) -> Any:
    return learner.classes[1] if learner.classes else [1.0] * learner.sizes[-1]


def each(check: Callable[..., object], examples: int, **cases: st.SearchStrategy[Any]) -> None:
    """Call ``check`` with n cases."""
    steady = hypothesis.settings(max_examples=examples, database=None)
    hypothesis.given(**cases)(steady(check))()


@pytest.fixture(scope="module", autouse=True)
def little_memory() -> Iterator[None]:
    """Compile all kernels first: a case may take 30 s, and compiling takes longer."""
    for kind in KINDS:
        learner = made(kind)
        learner.learn_many([[1, 2, 3]] * 2, [label_of(learner)] * 2)
        learner.predict_one([1, 2, 3])
    with bounded_memory():
        yield


@cases(120, 3000)
def test_constructor(n: int) -> None:
    def check(kind: int, options: dict[str, Any]) -> None:
        def call() -> None:
            learner = made(KINDS[kind], **{name: make() for name, make in options.items()})
            learner.learn_one(np.ones(learner.sizes[0]), label_of(learner))
            learner.predict_one(np.ones(learner.sizes[0]))

        refused(call)

    options = st.dictionaries(st.sampled_from(ARGUMENTS), hostile, min_size=1, max_size=2)
    each(check, n, kind=st.integers(0, len(KINDS) - 1), options=options)


CALLS: dict[str, Callable[[OnlineLearner, Any, Any], object]] = {
    "learn_one x": lambda net, a, b: net.learn_one(a, label_of(net)),
    "learn_one y": lambda net, a, b: net.learn_one([1, 2, 3], a),
    "learn_one named": lambda net, a, b: net.learn_one({"a": 1, "b": a, "c": b}, label_of(net)),
    "learn_one number": lambda net, a, b: net.learn_one([1, a, b], label_of(net)),
    "learn_many": lambda net, a, b: net.learn_many(a, b),
    "learn_many X": lambda net, a, b: net.learn_many(a, [label_of(net)]),
    "learn_many rows": lambda net, a, b: net.learn_many([a, b], [label_of(net)] * 2),
    "learn_many labels": lambda net, a, b: net.learn_many([[1, 2, 3]] * 2, [a, b]),
    "masks": lambda net, a, b: net.learn_one([1, 2, 3], label_of(net), masks=a, noise=b),
    "mask": lambda net, a, b: net.learn_one([1, 2, 3], label_of(net), masks=[a], noise=[b]),
    "score_many": lambda net, a, b: net.score_many(a, b),
    "predict_one": lambda net, a, b: net.predict_one(a),
    "predict_many": lambda net, a, b: net.predict_many(a),
    "predict_proba_one": lambda net, a, b: net.predict_proba_one(a),
    "predict_proba_many": lambda net, a, b: net.predict_proba_many(a),
    "activities": lambda net, a, b: net.activities(a),
    "prepared": lambda net, a, b: net.prepared(a, [label_of(net)]),
    "set": lambda net, a, b: net.set(lr=a, momentum=b),
    "set decay": lambda net, a, b: net.set(decay_at=a, decay_factor=b),
    "set times": lambda net, a, b: net.set(decay_time=a, weight_decay=b),
    "set other": lambda net, a, b: net.set(self=a, nonsense=b),
    "load_parameters": lambda net, a, b: net.load_parameters(a),
    "load W": lambda net, a, b: net.load_parameters({"W": a}),
    "load W_l": lambda net, a, b: net.load_parameters({"W": [a, b]}),
    "load F": lambda net, a, b: net.load_parameters({"F": a}),
    "save": lambda net, a, b: net.save(a),
    "load": lambda net, a, b: OnlineLearner.load(a),
}


@cases(160, 4000)
def test_learner(n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every method. A refused call leaves the learner unchanged."""
    monkeypatch.chdir(tmp_path)
    learners = [made(kind) for kind in KINDS]

    def check(kind: int, name: str, a: Any, b: Any) -> None:
        learner, weights = learners[kind], None
        with np.errstate(all="ignore"):
            before = learner.samples_seen, learner.parameters()["W"]
            a, b = a(), b()
            refused(lambda: CALLS[name](learner, a, b))
            weights = learner.parameters()["W"]
        if learner.samples_seen == before[0] and not name.startswith("load"):
            for old, new in zip(before[1], weights, strict=True):
                np.testing.assert_array_equal(old, new)
        learners[kind] = made(KINDS[kind]) if samples_or_rates(name) else learner

    def samples_or_rates(name: str) -> bool:
        return name.startswith(("set", "load", "mask", "learn"))

    kinds, names = st.integers(0, len(KINDS) - 1), st.sampled_from(sorted(CALLS))
    each(check, n, kind=kinds, name=names, a=hostile, b=hostile)


TEXTS = (
    "", " ", "0", "-1", "1e999", "nan", "inf", "true", "null", "1,2", ",", "=", "a=b", "-", "--",
    "256,128", "1.5", "99999999999999999999", "9" * 5000, "1e308", "0x10", "1_000", "\0", "\n",
    "\x1b[31m", "\udcff", "ü", "a" * 300, "a" * 5000, "[" * 100_000, "[]", "{}", '{"a": [1]}',
    "[1, [2]]", "~nouser/x", "~", ".", "..", "/", "/proc/self/mem", "/dev/null", "/dev/full/x",
    "no/such/folder", "x.zz", "x.png", "x.csv", "x.md", "digits", "mnist", "nobody", "pepita",
    "csv:", "csv:~nouser/x", "csv:.", "csv:/dev/null", "csv:" + "a/" * 3000, "csv:\0", ":", "::",
    SMALL, "synthetic:", "synthetic:=", "synthetic:features=100000000000000", "synthetic:samples=0",
    "synthetic:features=3,classes=99999999999", "synthetic:noise=1e308", "synthetic:noise=nan",
    "synthetic:clusters=10000000000", "synthetic:seed=-1", "synthetic:samples=9" + "9" * 30,
    "synthetic:features=3,features=4,samples=50", "synthetic:drift=abrupt,at=1", "delayed:2",
    "delayed:9999999", "delayed:99999999999999999999999", "delayed:-1", "delayed:2:x", "pipelined",
    "self=1", "momentum=2", "momentum=nan", "decay_at=[99999999999999999999999]", "cls=1",
    "decay_epochs=1e308", "decay_epochs=[[1]]", "decay_at=" + "[" * 100_000, "sizes=[1,2]",
    "decay_factor=1e-320", "bias=maybe", "loss=[]", "loss=", "activation=softmax", "optimizer=1",
    "activation=[1]", "seed=0..99999999999", "seed=0..1", "rule=pepita,nobody", "hidden=[[4],[5]]",
    "lr=0.1,nan", "workers=1,99999", "epochs=1..1", "tcp://127.0.0.1:1", "weight_norms",
    "accuracy", "row,column", "float32", "range", "running", "input", "regression", "skip", ";",
    "utf-16", "latin-1", "rot13", "label", "1000000000", "100000,100000",
)  # fmt: skip
texts = st.sampled_from(TEXTS)


@cases(120, 2300)
def test_sources_and_options(n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of sources, and configurations from Python."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DENDROSTREAM_DATA", str(tmp_path))

    def source(name: Any) -> None:
        opened = open_source(name() if callable(name) else name)
        next(iter(opened.chunks(0)), None)

    def configuration(field: str, value: Any) -> None:
        asked = {"source": SMALL, "hidden": (4,)}
        changed = (
            {field: value} if field in RunConfig.model_fields else {"settings": {field: value}}
        )
        config = RunConfig.checked(**(asked | changed))
        if config.source == SMALL:
            opened = config.open()
            config.resolved(opened).learner(opened)

    fields = [*RunConfig.model_fields, *ARGUMENTS, "decay_epochs"]
    one = st.one_of(texts.map(lambda text: lambda: text), hostile)
    each(lambda name: refused(lambda: source(name)), n // 3, name=one)
    each(
        lambda field, make: refused(lambda: configuration(field, make())), n - n // 3,
        field=st.sampled_from(fields), make=one,
    )  # fmt: skip


COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
BASE: dict[str, dict[str, str | None]] = {  # options that keep a case small
    "run": {"--source": SMALL, "--hidden": "4", "--out": "run", "--quiet": None},
    "sweep": {"--source": SMALL, "--hidden": "4", "--over": "seed=0,1", "--out": "sweep"},
    "schedule": {"--layers": "4,3,2", "--samples": "20", "--out": "plan.png"},
    "spiking": {"--samples": "1", "--hidden": "4", "--presentation": "1", "--out": "spikes"},
    "paper": {"--out": "papers"},
}
NOT_HERE = ("--download", "--help", "--dashboard")  # these access the network, or end the command


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with some of its options, taken from its signature."""
    name = draw(st.sampled_from(["run"] * 6 + ["schedule", "sweep"] * 2 + sorted(COMMANDS)))
    options = [p for p in COMMANDS[name].params if p.param_type_name == "option"]
    options = [p for p in options if not set(p.opts) & {*NOT_HERE}]
    arguments = [p for p in COMMANDS[name].params if p.param_type_name == "argument"]
    given: dict[str, str | None] = dict(BASE.get(name, {}))
    chosen = st.lists(st.sampled_from(options), max_size=3, unique_by=lambda p: p.name)
    for option in draw(chosen):
        kind = getattr(option, "type", None) or getattr(option, "type_descriptor", None)
        choices = list(getattr(kind, "choices", None) or ())
        some = st.one_of(texts, st.sampled_from(choices)) if choices else texts
        given[draw(st.sampled_from(option.opts))] = None if option.is_flag else draw(some)
    words = [word for pair in given.items() for word in pair if word is not None]
    return [name, *words, *(draw(st.lists(texts, max_size=1)) if arguments else ())]


def outcome_of(arguments: list[str]) -> tuple[int, str]:
    """Exit code and stderr of a command."""
    err = io.StringIO()
    with guarded(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        try:
            cli.main(arguments)
        except SystemExit as ended:
            code = ended.code or 0
    return int(code), err.getvalue()  # type: ignore[arg-type]


@pytest.fixture
def nothing_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Slow operations and drawing end at once, after the options were validated."""
    monkeypatch.setenv("DENDROSTREAM_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = itertools.count()

    def stop(interrupts: Any) -> bool:
        return next(asked) % 8 == 7  # of the chunks of a run

    @contextlib.contextmanager
    def no_cluster(scheduler: Any, workers: Any, **_: Any) -> Iterator[None]:
        yield None

    def here(client: Any, compute: Callable[..., Any], tasks: list[Any]) -> Iterator[Any]:
        yield from enumerate(compute(*task) for task in tasks[:2])

    monkeypatch.setattr(progress.Interrupts, "__call__", stop)
    monkeypatch.setattr("streaming.pictures.drawn.run", lambda *_, **__: None)
    monkeypatch.setattr("streaming.commands.schedule._drawn", lambda *_: None)

    @contextlib.contextmanager
    def scratch() -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    monkeypatch.setattr("streaming.sweeps.sweep.scratch", scratch)
    monkeypatch.setattr("streaming.sweeps.sweep.cluster", no_cluster)
    monkeypatch.setattr("streaming.sweeps.sweep.computed", here)
    nothing = SimpleNamespace(ok=True, rows=[], missing=[])
    monkeypatch.setattr("rate_models.checks.parity.run", lambda **_: nothing)
    table = {"machine": {}, "date": "", "data": {}, "seconds": 1, "repeats": 1, "quick": True,
             "rows": [], "limits": {"levels": [], "multiply_adds": 1.0}, "roofline": [],
             "costs": [], "scaling": []}  # fmt: skip
    monkeypatch.setattr("streaming.benchmarks.bench.run", lambda **_: table)
    for name, little in (("REPEATS", 1), ("TURN", 0), ("TRIED", 0), ("SEGMENT", 48)):
        monkeypatch.setattr(f"streaming.threads.measuring.{name}", little)
    monkeypatch.setattr("streaming.threads.network.SEGMENT", 48)
    monkeypatch.setattr("streaming.papers.reproduce.reproduce", lambda *_, **__: _too_long())
    monkeypatch.setattr("streaming.continual.comparing.learned", lambda *_: _too_long())
    monkeypatch.setattr("streaming.spikes.conversion.trained_network", lambda *_: _too_long())


def _too_long() -> Any:
    raise BadOption("here", got="something long")


@cases(100, 700)
@pytest.mark.usefixtures("nothing_long")
def test_commands(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(arguments: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as here:
            here.chdir(folder)
            code, err = outcome_of(arguments)
        assert code in (0, 1, 2, 3, 130), (code, err)
        assert "Traceback" not in err, err
        if code in (2, 3) and not err.startswith("Usage: "):
            last = err.rstrip("\n").splitlines()[-1]
            assert last.startswith("error: "), err[-2000:]
            assert re.search(r"\w", last[7:]) and last.isprintable() and len(last) < 4000, last

    each(check, n, arguments=command_lines())
