"""The loop over samples: one compiled copy per rule and dtype."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import Array, shared, specialise, stage
from rate_models.compiler.records import Record, kind_of, opened
from rate_models.kernels import input_passes, input_synapses, layers, pending, vectors
from rate_models.kernels.input_synapses import BLOCK
from rate_models.kernels.layers import Layers, Work
from rate_models.model import losses
from rate_models.model.optimizers import Rates, step_at
from rate_models.network import NetworkSpec
from rate_models.rules import Rule

FOLD_EVERY = 8192  # samples between foldings; part of the trajectory, so not an option


class Parts(NamedTuple):
    """The arrays of a network that learns; one that predicts does not use ``clock``."""

    net: Layers
    syn: input_synapses.InputSynapses
    params: Any  # of the rule, see `rules.Rule.kernel_params`
    work: Work
    other: Work  # of every other sample
    clock: NDArray[np.int64]  # (1,): samples seen


class Options(NamedTuple):
    """What the user may change between two samples."""

    hyper: Any  # of the rule, as `hyperparameters.numeric` has them
    rates: Rates
    follow: int  # 1: S(t+1,l) comes right after M(t,l), which changes no result; see `follows`


def _learn(  # type: ignore[no-untyped-def]
    parts, options, X, labels, Y, masks, noise, predicted, losses_, out
):
    """Learn from the rows of X in order; returns how many were learned from.

    parts, options: addresses of records of `Parts` and `Options`. X (N, n_0); labels (N,) class
    indices, or Y (N, n_L) target vectors when its width is not 0; masks (N, hidden units) or
    (N, 0); noise (N, width) or (N, 0).
    Fills predicted (N,) and losses_ (N,), and out (N, n_L) when its width is not 0, with the answer
    of the network before learning and without dropout. Stops where that is not finite.
    """
    of, by = opened(parts, PARTS), opened(options, OPTIONS)  # type: ignore[name-defined]  # noqa: F821
    net, syn, params, clock = of.net, of.syn, of.params, of.clock
    work, other = of.work, of.other
    last, samples = net.sizes.size - 1, X.shape[0]
    follow = by.follow > 0 and masks.shape[1] == 0
    input_passes.begin(syn)
    for t in range(samples):
        block = X[t : t + BLOCK - clock[0] % BLOCK]
        for layer in range(1, 1 if follow and t > 0 else last + 1):
            standard(layer, net, syn, params, work, block, labels[t], Y[t], masks[t])  # type: ignore[name-defined]  # noqa: F821
        if not judge(net, work, masks.shape[1] > 0, t, predicted, losses_, out):
            return t
        step = step_at(by.rates, clock[0], net.W)
        for turn in range(last):
            layer = turn + 1 if ASCENDING else last - turn  # type: ignore[name-defined]  # noqa: F821
            work.begun[0] = 0 if follow and t + 1 < samples else -1
            teach(  # type: ignore[name-defined]  # noqa: F821
                layer, net, syn, params, by.hyper, step, work, masks[t], noise[t]
            )
            if layer == 1:
                clock[0] += 1
                end_of_step(syn, clock[0], 1)
            if work.begun[0] == layer:
                layers.add_bias(net, layer, other.a)
                layers.activity(net, layer, other.a, other.h, masks[t])
            elif work.begun[0] == 0:
                n = t + 1
                block = X[n : n + BLOCK - clock[0] % BLOCK]
                standard(layer, net, syn, params, other, block, labels[n], Y[n], masks[n])  # type: ignore[name-defined]  # noqa: F821
        work, other = other, work
    return samples


def follows(rule: Rule, spec: NetworkSpec, hyper: Any) -> bool:
    """Whether S(t+1,l) may come right after M(t,l), and it is worth it.

    It is for rules whose M of a layer changes that layer alone and goes up: where M may be delayed.
    """
    return spec.layers > 2 and rule.ascending and rule.respond is None and rule.delays(hyper)


def _standard(  # type: ignore[no-untyped-def]
    layer, net, syn, params, work, inputs, label, vector, mask
):
    """S(t,l): fill a_l and h_l, given those below; where there is dropout, also without it.

    inputs (N, n_0): this sample and those that follow, see `input_passes.integrate`.
    """
    if layer == 1:
        layers.input_current(net, syn, inputs, work.a)
        target(work.y, label, vector)
    if mask.size > 0:
        if layer == 1:
            vectors.copy(layers.units(net, work.a0, 1), layers.units(net, work.a, 1))
        respond(layer, net, params, work.a0, work.h0, mask[:0])  # type: ignore[name-defined]  # noqa: F821
    respond(layer, net, params, work.a, work.h, mask)  # type: ignore[name-defined]  # noqa: F821


@stage
def end_of_step(syn: input_synapses.InputSynapses, seen: int, batch: int) -> None:
    """After ``seen`` samples: end the block of pending updates, fold, where it is time to.

    batch: samples per update of the weights; nothing happens between two updates.
    """
    if seen % batch > 0:
        return
    if seen // FOLD_EVERY > (seen - batch) // FOLD_EVERY:
        pending.fold(syn)
    elif seen // BLOCK > (seen - batch) // BLOCK:
        pending.end_block(syn)


@shared
def judge(
    net: Layers, work: Work, dropout: bool, t: int, predicted: Array, losses_: Array, out: Array
) -> bool:
    """E(t): store the answer without dropout, then e and δ_L. False if the loss is not finite."""
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
        vectors.copy(y, vector)
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


def _predict(parts, X, out):  # type: ignore[no-untyped-def]
    """out (N, n_L) = h_L for the rows of X (N, n_0); no dropout, no state changed but scratch.

    parts: address of a record of `Parts`.
    """
    of = opened(parts, PARTS)  # type: ignore[name-defined]  # noqa: F821
    net, syn, params, work = of.net, of.syn, of.params, of.work
    last = net.sizes.size - 1
    for t in range(X.shape[0]):
        vectors.copy(syn.x, X[t])
        layers.input_current_again(net, syn, work.a)
        for layer in range(1, last + 1):
            respond(layer, net, params, work.a, work.h, work.a[:0])  # type: ignore[name-defined]  # noqa: F821
        h = layers.units(net, work.h, last)
        for i in range(h.size):
            out[t, i] = h[i]


# By rule, not by its name: another file may have a rule of the same name.
_compiled: dict[Any, Any] = {}


def learner(rule: Rule, parts: Record, options: Record) -> Any:
    """The compiled loop of a rule over samples, for records of these kinds."""
    kinds = kind_of(parts.values), kind_of(options.values)
    key = rule, *kinds
    if key not in _compiled:
        kinds_of = {"PARTS": kinds[0], "OPTIONS": kinds[1]}
        bound = {"ASCENDING": rule.ascending, **kinds_of, **stages(rule)}
        name = f"{rule.name}_{parts.values.work.a.dtype}"
        _compiled[key] = specialise(_learn, name, **bound)
    return _compiled[key]


def stages(rule: Rule) -> dict[str, Any]:
    """What S and M of a rule consist of, to be bound in a kernel."""
    respond = rule.respond or standard_pass
    return {
        "standard": specialise(_standard, rule.name, stage, respond=respond),
        "teach": rule.teach,
    }


def predictor(rule: Rule, parts: Parts) -> tuple[Any, Record]:
    """The compiled forward pass of a rule, and the record that it takes first.

    Rules without a forward pass of their own share one copy.
    """
    own = rule.respond is not None
    record = Record(parts if own else parts._replace(params=NoParams(parts.clock[:0])))
    key = rule if own else None, kind_of(record.values)
    if key not in _compiled:
        name = f"{rule.name if own else 'any'}_{parts.work.a.dtype}"
        bound = {"PARTS": key[1], "respond": rule.respond or standard_pass}
        _compiled[key] = specialise(_predict, name, **bound)
    return _compiled[key], record
