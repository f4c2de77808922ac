"""Recording of diagnostics (``--record``) in record.jsonl, once per metrics line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rate_models.diagnostics.recordables import Probe, get, measured
from rate_models.errors import BadOption
from rate_models.model.draws import numbers
from rate_models.rules import masks_and_noise
from streaming.learner.learner import OnlineLearner
from streaming.sources import Source

PROBED = 200  # samples of the probe batch


class Recorder:
    """Measures the named diagnostics of a learner without changing it.

    names: see `diagnostics.recordables`. The probe batch consists of the first 200 held-out samples
    of the source, or of its stream if nothing is held out. It is scaled by the current scaling of
    the learner. Without names nothing is read.

    Raises UnknownName, and BadOption if the rule lacks the arrays that a diagnostic needs.
    """

    def __init__(self, names: Iterable[str], learner: OnlineLearner, source: Source) -> None:
        self.names = list(dict.fromkeys(names))
        for name in self.names:
            get(name)
        if self.names:
            if learner.classes == ():
                got, expected = "beside --classes grow", "classes that are known from the beginning"
                raise BadOption("--record", got=got, expected=expected)
            self._batch = _first(source)
            self.values(learner)  # raises errors before the run starts

    def values(self, learner: OnlineLearner) -> dict[str, dict[str, float]]:
        """{name: {label: number}} of the learner in its current state."""
        probe = self._probe(learner)
        return {name: measured(name, probe) for name in self.names}

    def _probe(self, learner: OnlineLearner) -> Probe:
        x, y = learner.prepared(*self._batch)
        if not len(x):
            raise BadOption("--record", got="no good sample to probe the network with")
        net = learner.network
        drawn = masks_and_noise(net.definition, net.spec, net.hyper, numbers(net.seed, 0, len(x)))
        return Probe(net.spec, net.definition, net.hyper, net.parameters(), x, y,
                     drawn._replace(masks=None))  # fmt: skip


def _first(source: Source) -> tuple[Any, Any]:
    """The first held-out samples; those of the stream if nothing is held out."""
    chunks = source.test(PROBED) or source.chunks(0, size=PROBED)
    X, y = next(iter(chunks), (np.zeros((0, source.n_features)), []))
    return X[:PROBED], y[:PROBED]
