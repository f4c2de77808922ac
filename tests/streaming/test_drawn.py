"""Pictures: no setting of matplotlib changes them, and a failure is only a warning."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from command_line import called
from matplotlib.image import imread
from project import ROOT

from biocircuits import example
from biocircuits.drawing.drawings import draw_circuit, draw_traces
from biocircuits.simulation.recording import Trace
from rate_models.diagnostics.plots import distribution
from rate_models.drawing.figures import new_figure
from rate_models.drawing.style import drawing, plain
from streaming.pictures import run as pictures
from streaming.runs.config import RunConfig
from streaming.runs.run import run
from streaming.sources import ArraySource

# Each alone breaks a figure that heeds it, or changes what it looks like.
ODD: dict[str, Any] = {
    "text.usetex": True,
    "image.cmap": "gray",
    "font.family": ["No Such Font"],
    "lines.linewidth": 20,
    "axes.facecolor": "black",
    "text.color": "white",
    "savefig.format": "pdf",
    "savefig.bbox": "tight",
    "figure.autolayout": True,
    "axes.formatter.use_locale": True,
    "axes.prop_cycle": matplotlib.cycler(color=["w"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has finished."""
    out = tmp_path_factory.mktemp("drawn") / "run"
    run(RunConfig.checked(samples=300, hidden="8", record=("weight_norms",)), out)
    return out


def circuit() -> Any:
    return draw_circuit(example()).figure


def a_trace() -> Trace:
    time = np.arange(20.0)
    waves = {name: np.outer(time, [1, 2, 3]) for name in ("cell.soma", "cell.dendrite")}
    return Trace(time, waves, [("phase", 0.0, 20.0)], np.zeros(20, int), {})


def traces() -> Any:
    return draw_traces(a_trace(), [["cell.dendrite", "cell.soma"]])[0].figure


def histogram() -> Any:
    return distribution(np.random.default_rng(0).normal(size=200)).figure


def picture(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


@pytest.mark.parametrize("draw", [circuit, traces, histogram])
def test_a_figure_is_the_same_in_any_setting(draw: Any) -> None:
    usual = picture(draw())
    with matplotlib.rc_context(ODD):
        assert picture(draw()) == usual  # created and saved
        late = draw()
    assert picture(late) == usual  # created there, saved here
    early = draw()
    with matplotlib.rc_context(ODD):
        assert picture(early) == usual


def test_a_run_is_drawn_the_same_in_any_setting(folder: Path) -> None:
    for draw in (pictures.draw, pictures.draw_record):
        usual = draw(folder).read_bytes()
        with matplotlib.rc_context(ODD):
            assert draw(folder).read_bytes() == usual


def test_the_users_settings_are_restored() -> None:
    before = dict(matplotlib.rcParams)
    with pytest.raises(ZeroDivisionError), drawing(axes_grid=False):
        assert matplotlib.rcParams["axes.grid"] is False
        raise ZeroDivisionError
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    "text",
    ["5$ or $6", "$\\nosuch$", "a_b^c", "\\", "line\nbreak", "\x00", "猫☃", "%", "{$}", "$$"],
)
def test_any_text_can_be_drawn(text: str) -> None:
    figure = new_figure((2, 1))
    figure.subplots().set_title(plain(text))
    assert picture(figure)
    assert "\n" not in plain(text) and "\x00" not in plain(text)


def test_notebooks_show_figures_and_axes() -> None:
    for shown in (new_figure((2, 1)), draw_circuit(example()), draw_traces(a_trace())):
        png = shown._repr_png_()  # type: ignore[union-attr]
        assert imread(io.BytesIO(png), format="png").ndim == 3


def test_compartments_of_a_row_have_two_colours_and_neurons_their_dashes() -> None:
    (axes,) = draw_traces(a_trace(), [["cell.dendrite", "cell.soma"]])
    looks = {line.get_label(): (line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert set(looks) == {f"{part} {k}" for part in ("dendrite", "soma") for k in range(3)}
    for part in ("dendrite", "soma"):
        assert len({looks[f"{part} {k}"][0] for k in range(3)}) == 1
        assert len({looks[f"{part} {k}"][1] for k in range(3)}) == 3
    assert looks["dendrite 0"][0] != looks["soma 0"][0]


def test_legends_lie_inside_the_figure() -> None:
    for rows in (None, [["cell.dendrite", "cell.soma"]]):
        axes = draw_traces(a_trace(), rows)
        picture(axes[0].figure)
        figure = axes[0].figure.bbox
        for one in axes:
            box = one.get_legend().get_window_extent()
            assert box.x0 >= figure.x0 and box.x1 <= figure.x1
            assert box.height <= one.get_window_extent().height + 12  # its row is as high


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense"])
def test_a_missing_backend_does_not_matter(backend: str) -> None:
    code = (
        "from rate_models.drawing.figures import new_figure; import os\n"
        "new_figure((1, 1)).savefig('/dev/null', format='png')\n"
        "print(os.environ['MPLBACKEND'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MPLBACKEND": backend},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == backend, done.stderr


@pytest.fixture(params=["drawing", "disk", "memory"])
def failing(request: pytest.FixtureRequest) -> Iterator[pytest.MonkeyPatch]:
    """Make drawing fail until the fixture ends."""
    error: Exception = {
        "drawing": RuntimeError("no\nfont"),
        "disk": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "learning_curve.png"),
        "memory": MemoryError(),
    }[request.param]

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "_save", fail)
        yield patch


@pytest.mark.filterwarnings("default")
def test_a_run_that_cannot_be_drawn_ends_well(
    failing: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    output = called(capsys, "run", "--samples", 300, "--hidden", 8, "--quiet", "--out", out)
    assert output.code == 0 and "held-out accuracy" in output.out and "picture" not in output.out
    (line,) = output.err.splitlines()
    assert line.startswith(f"warning: the pictures of {out} could not be drawn: ")
    assert line.endswith(f"; dendrostream run --resume {out} draws them")
    assert json.loads((out / "summary.json").read_text())["stopped"] == "samples"
    assert not list(out.glob("*.png")) and not list(out.glob(".*"))
    failing.undo()
    output = called(capsys, "run", "--resume", out)
    assert output.code == 0 and f"{out}/learning_curve.png" in output.out
    assert imread(out / "learning_curve.png").ndim == 3
    drawn = (out / "learning_curve.png").stat().st_mtime_ns
    called(capsys, "run", "--resume", out)
    assert (out / "learning_curve.png").stat().st_mtime_ns == drawn  # it is there already


@pytest.mark.filterwarnings("default")
def test_a_plan_that_cannot_be_drawn_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no font")

    monkeypatch.setattr("streaming.schedule.pictures.draw", fail)
    output = called(capsys, "schedule", "--json", "--out", tmp_path / "plan.png")
    assert output.code == 0 and json.loads(output.out)["picture"] is None
    assert output.err.startswith(f"warning: {tmp_path / 'plan.png'} could not be drawn: ValueError")


def confusion_labels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    figures = []
    monkeypatch.setattr(pictures, "_save", lambda figure, path: figures.append(figure))
    pictures.draw(folder)
    (axes,) = [a for a in figures[0].get_axes() if a.get_xlabel() == "predicted"]
    assert axes.get_xticklabels()[0].get_rotation() == 90
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.mark.parametrize("classes", [None, ("cat", "$5_", "a name of many letters")])
def test_classes_have_their_names(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: Any
) -> None:
    shown = json.loads((folder / "summary.json").read_text()) | {"image_shape": None}
    counts = np.eye(3, dtype=int).tolist()
    shown |= {"confusion": counts, "test_confusion": counts, "sizes": [2, 4, 3]}
    names = {"classes": [0, 1, 2], "class_names": ["cat", "$5_", "a name of many letters"]}
    shown |= names if classes is None else {"classes": classes, "class_names": None}
    (tmp_path / "summary.json").write_text(json.dumps(shown))
    (tmp_path / "metrics.jsonl").write_bytes((folder / "metrics.jsonl").read_bytes())
    wanted = ["cat", r"\$5_", "a name of man…"]
    assert confusion_labels(tmp_path, monkeypatch) == wanted


def test_sources_carry_the_names_of_their_classes() -> None:
    named = ArraySource(np.zeros((4, 1)), [0, 1, 0, 1], class_names=("no", "yes"))
    assert named.class_names == ("no", "yes")
    with pytest.raises(ValueError, match="class_names: got 3; expected 2, one per class"):
        ArraySource(np.zeros((4, 1)), [0, 1, 0, 1], class_names=("no", "yes", "maybe"))


def test_a_figure_has_the_number_of_its_units(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(pictures, "_save", lambda figure, path: figures.append(figure))
    pictures.draw(folder)
    titles = [part.get_suptitle() for half in figures[0].subfigs for part in half.subfigs]
    assert "Changed most: input weights of eight hidden units" in titles


def test_a_curve_of_one_point_is_visible(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(pictures, "_save", lambda figure, path: figures.append(figure))
    pictures.draw(folder)
    curves = [
        line for axes in figures[0].get_axes() for line in axes.lines if len(line.get_xdata()) == 1
    ]
    assert {line.get_marker() for line in curves if line.get_linestyle() == "-"} == {"o"}
