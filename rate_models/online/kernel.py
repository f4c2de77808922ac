"""The loop over samples: one compiled copy per rule and dtype."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rate_models.compiler import vectors
from rate_models.compiler.kernel import Array, kernel, specialise, stage
from rate_models.kernels import input_synapses, layers, rows
from rate_models.kernels.layers import Layers, Work
from rate_models.model import losses
from rate_models.model.optimizers import step_at
from rate_models.rules import Rule

FOLD_EVERY = 8192  # samples between foldings; part of the trajectory, so not an option


def _learn(  # type: ignore[no-untyped-def]
    net, syn, params, hyper, rates, work, X, labels, Y, masks, noise, clock, predicted, losses_, out
):
    """Learn from the rows of X in order; returns how many were learned from.

    X (N, n_0); labels (N,) class indices, or Y (N, n_L) target vectors when its width is not 0;
    masks (N, hidden units) or (N, 0); noise (N, width) or (N, 0); clock (1,) samples seen.
    Fills predicted (N,) and losses_ (N,), and out (N, n_L) when its width is not 0, with what the
    network said before learning and without dropout. Stops where that is not finite.
    """
    last = net.sizes.size - 1
    for t in range(X.shape[0]):
        for layer in range(1, last + 1):
            standard(layer, net, syn, params, work, X[t], labels[t], Y[t], masks[t])  # type: ignore[name-defined]  # noqa: F821
        if not judge(net, work, masks.shape[1] > 0, t, predicted, losses_, out):
            return t
        step = step_at(rates, clock[0], net.W)
        for turn in range(last):
            layer = turn + 1 if ASCENDING else last - turn  # type: ignore[name-defined]  # noqa: F821
            teach(  # type: ignore[name-defined]  # noqa: F821
                layer, net, syn, params, hyper, step, work, masks[t], noise[t]
            )
        clock[0] += 1
        if clock[0] % FOLD_EVERY == 0:
            input_synapses.fold(syn)
    return X.shape[0]


def _standard(  # type: ignore[no-untyped-def]
    layer, net, syn, params, work, x, label, vector, mask
):
    """S(t,l): fill a_l and h_l, given those below; where there is dropout, also without it."""
    if layer == 1:
        layers.input_current(net, syn, x, work.a)
        target(work.y, label, vector)
    if mask.size > 0:
        if layer == 1:
            rows.copy(layers.units(net, work.a0, 1), layers.units(net, work.a, 1))
        respond(layer, net, params, work.a0, work.h0, mask[:0])  # type: ignore[name-defined]  # noqa: F821
    respond(layer, net, params, work.a, work.h, mask)  # type: ignore[name-defined]  # noqa: F821


@stage
def judge(
    net: Layers, work: Work, dropout: bool, t: int, predicted: Array, losses_: Array, out: Array
) -> bool:
    """E(t): write down what the network said without dropout; then e and δ_L, if it is finite."""
    last = net.sizes.size - 1
    a, h = layers.units(net, work.a, last), layers.units(net, work.h, last)
    if dropout:
        a, h = layers.units(net, work.a0, last), layers.units(net, work.h0, last)
    losses_[t] = losses.sample_loss(net.loss, a, h, work.y)
    predicted[t] = vectors.largest(h)
    for i in range(out.shape[1]):
        out[t, i] = h[i]
    error(work, layers.units(net, work.h, last))
    layers.output_delta(net, work)
    return bool(np.isfinite(losses_[t]))


@stage
def error(work: Work, h: Array) -> None:
    """e = h_L − y; what is too small to move a weight counts as zero.

    Products of numbers below √tiny are subnormal, which processors take a hundred times as long
    for; a network that is sure of itself would learn at half the speed.
    """
    silent = np.sqrt(np.finfo(h.dtype).tiny)
    for i in range(h.size):
        e = h[i] - work.y[i]
        work.e[i] = e if abs(e) > silent else h.dtype.type(0)


@stage
def target(y: Array, label: int, vector: Array) -> None:
    """y = the given vector, or one-hot at ``label``."""
    if vector.size > 0:
        rows.copy(y, vector)
    else:
        y[:] = 0
        y[label] = 1


class NoParams(NamedTuple):
    """Stands for the own arrays of a rule where they do not matter."""

    none: Array


@stage
def standard_pass(layer: int, net: Layers, params: Any, a: Array, h: Array, mask: Array) -> None:
    """`respond` of the rules that have none of their own."""
    layers.standard_pass(layer, net, a, h, mask)


def _predict(net, syn, params, work, X, out):  # type: ignore[no-untyped-def]
    """out (N, n_L) = h_L for the rows of X (N, n_0); no dropout, no state changed but scratch."""
    last = net.sizes.size - 1
    for t in range(X.shape[0]):
        a = layers.units(net, work.a, 1)
        input_synapses.peek(syn, X[t], a)
        if net.b.size > 0:
            rows.axpy(a, a.dtype.type(1), layers.units(net, net.b, 1))
        for layer in range(1, last + 1):
            respond(layer, net, params, work.a, work.h, work.a[:0])  # type: ignore[name-defined]  # noqa: F821
        h = layers.units(net, work.h, last)
        for i in range(h.size):
            out[t, i] = h[i]


@kernel
def settle(syn: input_synapses.InputSynapses) -> None:
    """Sweep in all that is pending or behind: before the arrays change their form."""
    input_synapses.settle(syn)


# By rule, not by its name: another file may have a rule of the same name.
_learners: dict[Rule, Any] = {}
_predictors: dict[Rule | None, Any] = {}


def learner(rule: Rule) -> Any:
    """The compiled loop of a rule."""
    if rule not in _learners:
        bound = {"ASCENDING": rule.ascending, **parts(rule)}
        _learners[rule] = specialise(_learn, rule.name, **bound)
    return _learners[rule]


def parts(rule: Rule) -> dict[str, Any]:
    """What S and M of a rule consist of, to be bound in a kernel."""
    respond = rule.respond or standard_pass
    return {
        "standard": specialise(_standard, rule.name, stage, respond=respond),
        "teach": rule.teach,
    }


def predict(
    rule: Rule,
    net: Layers,
    syn: input_synapses.InputSynapses,
    params: Any,
    work: Work,
    X: Array,
    out: Array,
) -> None:
    """out (N, n_L) = h_L for the rows of X (N, n_0), as the rule's forward pass has it.

    Rules without a forward pass of their own share one compiled copy.
    """
    own = rule if rule.respond is not None else None
    if own not in _predictors:
        name = f"predict_{rule.name}" if own else "predict"
        _predictors[own] = specialise(_predict, name, respond=rule.respond or standard_pass)
    _predictors[own](net, syn, params if own else NoParams(work.a[:0]), work, X, out)
