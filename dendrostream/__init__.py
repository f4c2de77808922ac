"""dendrostream: networks of two-compartment neurons that learn from a stream, sample by sample.

The public face. A name is imported from where it lives when it is first used:

>>> import dendrostream as ds
>>> learner = ds.OnlineLearner("pepita", (64, 32, 10), seed=0)

``python -m dendrostream`` is the command line. The parts are packages of their own: `rate_models`
(the mathematics), `biocircuits` (circuits of neurons), `streaming` (time, files, commands).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biocircuits import Circuit, CircuitNetwork, Probe, Settings
    from biocircuits.description.circuit_file import CircuitFile
    from biocircuits.drawing.drawings import draw_circuit, draw_traces
    from biocircuits.spiking import SpikingLearner, to_brian2
    from biocircuits.traces import to_nwb, to_xarray
    from rate_models.batch import BatchNetwork, Convolution, ConvolutionalSpec, fit, fit_many
    from rate_models.checks import check_rule
    from rate_models.errors import UserError
    from rate_models.model.optimizers import Optimizer
    from rate_models.network import NetworkSpec
    from rate_models.online import OnlineNetwork
    from rate_models.rules import Rule
    from rate_models.textbook import Textbook
    from streaming.learner.learner import OnlineLearner
    from streaming.papers import Paper
    from streaming.runs.run import Hooks, RunConfig, resume, run
    from streaming.scores.evaluate import held_out, progressive_val_score
    from streaming.sources import Source, SourceFile, open_source

_WHERE = {
    "biocircuits": ("Circuit", "CircuitNetwork", "Probe", "Settings"),
    "biocircuits.description.circuit_file": ("CircuitFile",),
    "biocircuits.drawing.drawings": ("draw_circuit", "draw_traces"),
    "biocircuits.spiking": ("SpikingLearner", "to_brian2"),
    "biocircuits.traces": ("to_nwb", "to_xarray"),
    "rate_models.batch": ("BatchNetwork", "Convolution", "ConvolutionalSpec", "fit", "fit_many"),
    "rate_models.checks": ("check_rule",),
    "rate_models.errors": ("UserError",),
    "rate_models.model.optimizers": ("Optimizer",),
    "rate_models.network": ("NetworkSpec",),
    "rate_models.online": ("OnlineNetwork",),
    "rate_models.rules": ("Rule",),
    "rate_models.textbook": ("Textbook",),
    "streaming.learner.learner": ("OnlineLearner",),
    "streaming.papers": ("Paper",),
    "streaming.runs.run": ("Hooks", "RunConfig", "resume", "run"),
    "streaming.scores.evaluate": ("held_out", "progressive_val_score"),
    "streaming.sources": ("Source", "SourceFile", "open_source"),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "BatchNetwork", "Circuit", "CircuitFile", "CircuitNetwork", "Convolution",
    "ConvolutionalSpec", "Hooks", "NetworkSpec", "OnlineLearner", "OnlineNetwork", "Optimizer",
    "Paper", "Probe", "Rule", "RunConfig", "Settings", "Source", "SourceFile", "SpikingLearner",
    "Textbook", "UserError", "check_rule", "draw_circuit", "draw_traces", "fit", "fit_many",
    "held_out", "open_source", "progressive_val_score", "resume", "run", "to_brian2", "to_nwb",
    "to_xarray",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dendrostream import packages

    if error := packages.foreign():
        raise ImportError(error)
    try:
        return getattr(importlib.import_module(_MODULE[name]), name)
    except ImportError as problem:
        if error := packages.shared():
            raise ImportError(error) from problem
        raise


def __dir__() -> list[str]:
    return __all__
