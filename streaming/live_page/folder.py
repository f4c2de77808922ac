"""Feeds the page from the folder of a run that has ended or that another process goes on with.

Only reads. New lines of ``metrics.jsonl`` become points; weights, angles and the confusion are
those of the last checkpoint. It also has the input of its last sample: the prediction and the
activities are what the stored network answers to it. Its true label is not stored.
"""

from __future__ import annotations

import contextlib
import json
import math
import operator
from pathlib import Path
from typing import Any

import numpy as np

from rate_models.diagnostics import measures
from rate_models.errors import BadOption, MissingData, UserError
from rate_models.support import own_files
from streaming.files import checkpoint
from streaming.files.lock import holder
from streaming.learner.learner import OnlineLearner
from streaming.live_page.ring import NAN, About, Frame, Point, Ring
from streaming.live_page.watching import INPUTS, UNITS, as_text
from streaming.runs.config import RunConfig
from streaming.runs.state import RECENT
from streaming.scores.metrics import Metrics

MOST = 2**24  # bytes of metrics.jsonl that are read at once


class FolderFeed:
    """See the module. Raises MissingData or DamagedCheckpoint if the folder does not hold a run."""

    control = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / "config.json").is_file():
            raise MissingData("--open", got=f"no {folder / 'config.json'}",
                              expected="the folder of a run")  # fmt: skip
        self._config = RunConfig.read(folder / "config.json")
        self.ring = Ring()
        self._read, self._before = 0, (0, 0.0)
        self._rest = b""
        self._stamp: tuple[float, ...] = ()
        self._norms: tuple[float, ...] = ()
        self._angles: tuple[float, ...] = ()
        self._frame = Frame()
        self._last: dict[str, Any] = {}
        self._load()
        if self.ring.about is None:
            raise BadOption("--open", got=f"{folder}, which has no whole checkpoint",
                            expected="the folder of a run")  # fmt: skip

    def refresh(self) -> None:
        """Read what is new in the folder."""
        with contextlib.suppress(OSError, UserError):  # it is being written: next time
            changed = self._load()
            lines = self._lines()
            for values in lines:
                self._last = values
                self.ring.add(self._point(values), self._frame)
            if changed and not lines and self._last:
                self.ring.add(self._point(self._last), self._frame)
        self.ring.state = "ended" if holder(self._folder) is None else "running elsewhere"

    def _load(self) -> bool:
        """Read the checkpoint if it is another one than before."""
        path = self._folder / "checkpoint"
        stamp = tuple(p.stat().st_mtime for p in sorted(path.iterdir())) if path.is_dir() else ()
        if stamp == self._stamp:
            return False
        arrays, meta = checkpoint.read(path)
        learner = OnlineLearner.restored(arrays, meta, path)
        parameters = learner.parameters()
        self._norms = tuple(measures.weight_norms(parameters))
        angles: dict[str, float] = {}
        net = learner.network
        with contextlib.suppress(UserError):
            links = measures.rule_links(net.definition, net.spec.layers, **net.hyper._asdict())
            angles = measures.alignment_angle(parameters, links)
        self._angles = tuple(angles.values())
        confusion, labels = self._confusion(learner, arrays)
        self._frame = Frame(rate=learner.lr, confusion=confusion, labels=labels)
        position = meta.get("run", {}).get("position", 0)
        _answer(self._frame, learner, arrays.get(RECENT), position)
        self._stamp = stamp
        c = self._config
        self.ring.about = About(
            learner.rule, own_files.shown(c.source), tuple(learner.sizes),
            "R²" if learner.classes is None else "accuracy",
            tuple(f"W{n}" for n in range(1, len(learner.sizes))), tuple(angles),
            _image_shape(meta, learner), "live" in meta.get("run", {}), False, str(self._folder),
        )  # fmt: skip
        return True

    def _confusion(self, learner: OnlineLearner, arrays: Any) -> tuple[Any, tuple[str, ...]]:
        if learner.classes is None:
            return None, ()
        metrics = Metrics(len(learner.classes))
        metrics.load_state(checkpoint.part("metrics.", arrays))
        shown, counts = metrics.largest(30)
        known = [i for i, label in enumerate(shown) if label < len(learner.classes)]
        labels = tuple(str(learner.classes[shown[i]]) for i in known)
        return np.asarray(counts[np.ix_(known, known)], float), labels

    def _lines(self) -> list[dict[str, Any]]:
        """The whole lines of metrics.jsonl that are new; from the start if it was cut."""
        path = self._folder / "metrics.jsonl"
        if path.stat().st_size < self._read:
            self._read, self._rest = 0, b""
        with open(path, "rb") as file:
            file.seek(self._read)
            data = file.read(MOST)
        self._read += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        values = []
        for line in whole:
            with contextlib.suppress(ValueError, RecursionError):
                one = json.loads(line)
                if isinstance(one, dict) and isinstance(one.get("samples"), int):
                    values.append(one)
        return values

    def _point(self, values: dict[str, Any]) -> Point:
        def number(name: str, where: dict[str, Any] = values) -> float:
            value = where.get(name)
            return float(value) if isinstance(value, int | float) else NAN

        self._frame.epoch = max(0, int(number("epoch")) if "epoch" in values else 0)
        samples, seconds = values["samples"] - self._before[0], number("seconds") - self._before[1]
        pace = samples / seconds if samples > 0 and seconds > 0 else number("samples_per_second")
        if not math.isnan(seconds):
            self._before = values["samples"], number("seconds")
        names = ("progressive_accuracy", "windowed_accuracy")
        if self.ring.about is not None and self.ring.about.score != "accuracy":
            names = ("r2", "windowed_r2")
        live = values.get("live") or {}
        times = (live.get("latency") or {}).get("learned") or {}
        return Point(
            values["samples"], number("seconds"), number(names[0]), number(names[1]),
            number("loss"), number("windowed_loss"), pace, number("p50_ms", times),
            number("p99_ms", times), self._norms, self._angles,
        )  # fmt: skip


def _answer(frame: Frame, learner: OnlineLearner, recent: Any, position: int) -> None:
    """What the learner answers to the last input of its run; where it has none, why."""
    if recent is None or not len(recent):
        frame.remark = "the checkpoint has no sample"
        return
    x = np.asarray(recent, np.float64)[-1:]
    try:
        predicted, layers = learner.predict_many(x)[0], learner.activities(x)
    except UserError as error:
        frame.remark = f"the stored network gives no answer: {error}"
        return
    frame.x, frame.predicted = x[0, :INPUTS], as_text(predicted, learner.classes is None)
    names = [f"layer {n}" for n in range(1, len(layers))]
    shown = {name: {"soma": h[0]} for name, h in zip([*names, "output"], layers, strict=True)}
    if learner.circuit is not None:  # its compartments are a part of the checkpoint
        shown = learner.network.activities()
    frame.activities = {
        layer: {name: np.asarray(part[:UNITS], np.float64) for name, part in parts.items()}
        for layer, parts in shown.items()
    }
    frame.remark = f"number {position:,}, answered by the stored network"


def _image_shape(meta: dict[str, Any], learner: OnlineLearner) -> tuple[int, ...] | None:
    """The shape of an input, if it is an image."""
    given = meta.get("run", {}).get("image_shape")
    try:
        shape = tuple(map(operator.index, given))
    except TypeError:  # none, or a crafted file
        return None
    good = len(shape) in (2, 3) and min(shape) > 0 and math.prod(shape) == learner.sizes[0]
    return shape if good else None
