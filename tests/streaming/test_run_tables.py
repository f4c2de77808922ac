"""Runs on tables: command-line options, and files that change during the run."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_one_error

from rate_models.errors import BadOption
from streaming.learner.learner import OnlineLearner
from streaming.runs.run import Hooks, RunConfig, resume, run
from streaming.sweeps import sweep
from streaming.tables import table_file


def table(rows: int = 700, seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    lines = ["id;day;a;b;kind"]
    for i in range(rows):
        a, b = rng.normal(size=2).round(3)
        shown = "" if rng.random() < 0.1 else str(a).replace(".", ",")
        lines.append(f"{i};2020-01-02;{shown};{str(b).replace('.', ',')};{'KG'[int(a > b)]}öln")
    return "\n".join(lines) + "\n"


def test_every_option_of_a_table_reaches_it(call: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(table().encode("latin-1")))
    done = call(
        *("run", "--source", f"csv:{tmp_path / 't.csv.gz'}", "--label", "kind", "--drop", "id,day"),
        *("--sep", ";", "--decimal", ",", "--encoding", "latin-1", "--missing", "mean"),
        *("--missing-indicator", "--held-out", 0.3, "--stratify", "--hidden", 4, "--epochs", 1),
        *("--json", "--quiet", "--out", tmp_path / "r"),
    )
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert summary["sizes"] == [3, 4, 2] and summary["classes"] == ["Göln", "Köln"]
    assert summary["samples_seen"] == 490 and summary["test_accuracy"] is not None
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    assert (config["drop"], config["held_out"], config["stratify"]) == (["id", "day"], 0.3, True)


def test_nothing_is_held_out_unless_asked_for(call: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i % 7},{i % 2}\n" for i in range(300)))
    options = ("run", "--source", f"csv:{tmp_path / 't.csv'}", "--hidden", 4, "--quiet")
    summary = json.loads(call(*options, "--out", tmp_path / "r", "--json").out)
    assert summary["test_accuracy"] is None and summary["samples_seen"] == 300
    assert "none held out" in call(*options, "--out", tmp_path / "s").out
    (tmp_path / "n.csv").write_text("".join(f"{i % 7},{i % 2}\n" for i in range(300)))
    done = call("run", "--source", f"csv:{tmp_path / 'n.csv'}", "--out", tmp_path / "t")
    assert_one_error(done, "line 1", "--no-header")
    done = call(*options[:2], f"csv:{tmp_path / 'n.csv'}", *options[3:], "--no-header",
                "--out", tmp_path / "u", "--json")  # fmt: skip
    assert json.loads(done.out)["samples_seen"] == 300


def test_digits_are_no_table(call: Any, tmp_path: Path) -> None:
    done = call("run", "--label", "x", "--out", tmp_path / "r")
    assert_one_error(done, "--label", "digits")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("change", ["a new label", "more rows", "other rows", "fewer rows", "gone"])
def test_the_learner_is_saved_if_the_file_changes(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "PIECE", 1 << 12)  # 1024 rows of this file
    path, n = tmp_path / "t.csv", 6000
    rows = [f"{i % 7},{i % 2}\n" for i in range(n)]
    path.write_text("a,b\n" + "".join(rows))

    def watch(this: Any) -> None:
        if this.position == 2560:
            if change == "gone":
                path.unlink()
                return
            new = {
                "a new label": [*rows, "3,9\n"],
                "more rows": [*rows, *rows],
                "other rows": rows[:2000] + [f"{i % 7},2\n" for i in range(4000)],
                "fewer rows": rows[:2700],
            }[change]
            path.write_text("a,b\n" + "".join(new))

    config = RunConfig.checked(source=f"csv:{path}", hidden=4, epochs=3)
    with pytest.raises(BadOption, match=r"a file that changed.*what was learned is kept"):
        run(config, tmp_path / "r", Hooks(watch=watch, draw=False))
    kept = OnlineLearner.load(tmp_path / "r" / "checkpoint")
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["stopped"] == "error"
    assert 2560 <= kept.samples_seen == summary["samples_seen"] <= 2560 + 1024 + 256
    if change != "gone":
        with pytest.raises(BadOption, match="changed since the run stopped"):
            resume(tmp_path / "r", Hooks(draw=False))
    path.write_text("a,b\n" + "".join(rows))  # the old file again
    assert resume(tmp_path / "r", Hooks(draw=False))["samples_seen"] == 3 * n


def test_a_run_with_other_held_out_rows_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i % 7},{i % 2}\n" for i in range(300)))
    config = RunConfig.checked(source=f"csv:{tmp_path / 't.csv'}", hidden=4)
    run(config, tmp_path / "r", Hooks(stop=lambda: True, draw=False))
    file = tmp_path / "r" / "config.json"
    old = json.loads(file.read_text())
    del old["held_out"]
    file.write_text(json.dumps(old))
    with pytest.raises(BadOption, match="held out other rows"):
        resume(tmp_path / "r", Hooks(draw=False))


def test_options_of_tables_can_vary_in_a_sweep(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n" + "".join(f"{i % 7},{i % 3},{i % 2}\n" for i in range(300)))
    over = {"held_out": [0.0, 0.5], "drop": ["a", "b"], "label": ["c"]}
    found = sweep.cells({"source": f"csv:{path}", "hidden": 4}, over)
    assert [(c.config.held_out, c.config.drop) for c in found] == [
        (0.0, ("a",)), (0.0, ("b",)), (0.5, ("a",)), (0.5, ("b",)),
    ]  # fmt: skip
    assert len({str(c.run) for c in found}) == 4
    with pytest.raises(BadOption, match=r"label=nope: --label: got 'nope'"):
        sweep.cells({"source": f"csv:{path}", "hidden": 4}, {"label": ["c", "nope"]})
