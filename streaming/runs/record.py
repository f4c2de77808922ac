"""What ``--record`` writes: diagnostics of the network at every metrics line, in record.jsonl."""

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

PROBED = 200


class Recorder:
    """Measures a learner by the names of `diagnostics.recordables`, and changes nothing.

    The probe batch is the first 200 samples that the source holds out, or streams where it holds
    out none, scaled as the learner scales at that moment. Without names nothing is read.

    Raises UnknownName, and BadOption where the learner's rule has no arrays for a diagnostic.
    """

    def __init__(self, names: Iterable[str], learner: OnlineLearner, source: Source) -> None:
        self.names = list(dict.fromkeys(names))
        for name in self.names:
            get(name)
        if self.names:
            self._batch = _first(source)
            self.values(learner)  # raises what there is to raise

    def values(self, learner: OnlineLearner) -> dict[str, dict[str, float]]:
        """{name: {label: number}} of the learner as it is now."""
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
    """The first samples that are held out; of the stream where none are."""
    chunks = source.test(PROBED) or source.chunks(0, size=PROBED)
    X, y = next(iter(chunks), (np.zeros((0, source.n_features)), []))
    return X[:PROBED], y[:PROBED]
