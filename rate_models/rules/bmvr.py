"""BMVR: biological multi-variate regression, with interneurons in place of an error.

A hidden layer z lies between an input x and a target y. The target arrives at the apical tuft,
where interneurons inhibit it. The difference, the plateau potential, teaches the proximal synapses.
Learning computes neither a prediction nor an error:

    z = W_1 x                                       linear form (activation identity)
    r = ReLU(W_1 x),  z = r − z̄,  z̄ ← z̄ + ρ z       nonlinear form (activation relu)
    a = W_2ᵀ y,  n = R z,  p = a − Q n              apical, interneurons, plateau
    W_1 ← W_1 + η (p ∘ [r > 0]) xᵀ                  no gate in the linear form
    W_2 ← W_2 + η_2 (y zᵀ − W_2),   η_2 = ``eta_apical`` η
    Q   ← Q + η_q (z nᵀ − Q),       η_q = ``eta_q`` η
    R   ← R + η_q (n zᵀ − R)
    ŷ = W_2 z                                       prediction, with the apical weights

all from the same state before the update. x (m,), z, a, n, p, z̄ (k,), y (n,), W_1 (k, m),
W_2 (n, k), Q, R (k, k). R, from pyramidal cells to interneurons, starts as Qᵀ and remains equal to
it (n = Qᵀ z, as in the paper's main text). With ``decoupled`` it starts from other values: Qᵀ − R
then shrinks by a factor 1 − η_q per step.

The linear form minimises ⟨‖y − W_2 z‖²⟩ under ⟨z zᵀ⟩ ≼ I, of which Q Qᵀ is the multiplier. At the
optimum W_2 = C_yz, ⟨z zᵀ⟩ = I, and Q Qᵀ has the k largest eigenvalues of
C_xx^-½ C_xy C_yx C_xx^-½: reduced-rank regression. The optimum is a saddle around which learning
spirals: keep η_2 and η_q at or below η / 4, and momentum small; the condition is in `_stability`.
Inputs should be centred, of variance about one. A ridge c, for the linear form only, replaces C_xx
by C_xx + c I.

Backpropagation on the same objective is the rule `backprop` with loss mse and activation identity
(relu for the nonlinear form, without z̄). It has no exact counterpart of the ridge, which would be
c ‖W_2 W_1‖²; the nearest is weight_decay, λ (‖W_1‖² + ‖W_2‖²).

Example: `dendrostream run --rule bmvr --seed 0`
ends at 0.94 of held-out digits.

Gap: stable rates fall with the size of the input, η ⟨‖x‖²⟩ λ < 2, so five passes are too few: nine
at a constant rate end at 96.6 %. The squared error alone lowers backpropagation to 97.9 %. In the
paper, with 256 units and a sixth of the images, the two differ by 0.3 points.

Source: Golkar, Lipshutz, Bahroun, Sengupta & Chklovskii, NeurIPS workshop 2020; equations 5-9,
supplement A-E; ridge and start values from its program.
Deviations: all four matrices are changed by the common optimiser. The paper has no momentum and no
weight decay; without them the steps are those above. The initial values of a decoupled R are ours.
Targets are used as given; the paper's program centres them.
"""

from __future__ import annotations

import math
import warnings
from typing import Annotated, Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device
from pydantic import Field

from rate_models.compiler.kernel import Array, Scalar, stage
from rate_models.compiler.views import as_matrix
from rate_models.errors import BadOption
from rate_models.kernels import layers, pending, updates, vectors
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, Work
from rate_models.model import activations
from rate_models.model.hyperparameters import NotNegative, Positive, Share
from rate_models.model.optimizers import Step
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules import (
    FIXED,
    Defaults,
    Draws,
    Own,
    Properties,
    Ref,
    Rule,
    Start,
    Task,
    Term,
    Update,
    _stability,
    _tasks,
)

DEFAULTS = Defaults(scale="global")


class Hyperparameters(NamedTuple):
    """eta_apical: η_2 / η. eta_q: η_q / η; the learning rate η scales all three.
    ridge: c, linear form only. decoupled: whether R starts from other values than Qᵀ.
    mean_rate: ρ of z̄, per sample. dropout: probability that a hidden unit is silent for a sample.
    init_1, init_2: initial standard deviation of W_1 and W_2. init_q: initially Q = init_q I.
    """

    eta_apical: Positive = 0.25
    eta_q: Positive = 0.25
    ridge: Annotated[NotNegative, FIXED] = 0.0
    decoupled: Annotated[bool, FIXED] = False
    mean_rate: Annotated[float, Field(ge=0, le=1)] = 1e-4
    dropout: Share = 0.0
    init_1: Annotated[NotNegative, FIXED] = 0.01
    init_2: Annotated[NotNegative, FIXED] = 0.1
    init_q: Annotated[NotNegative, FIXED] = 1 / 3


def suits(spec: NetworkSpec, labels: bool, power: float) -> dict[str, float]:
    """Default rates for labels and for numbers (regression targets of variance 1).

        labels:   η = 0.8 / (P max(n_0 + n_1 / 16, 32))
        numbers:  η = 1 / (P max(n_0 + n_1 + n_0 n_L / 2, 100)),
                  η_2 / η = max(P / 5, 1 / (20 n_1 η)),    η_q = 4 η_2

    P: mean square of the input. For labels the first sum is small because W_1 starts small.
    Correlated targets, such as the pixels of an image, raise Q Rᵀ up to n_L, so W_1 must be slow,
    see `rate_warnings`. W_2 and Q may be faster, as long as they average over more samples than
    there are hidden units. Q is the fastest, because it keeps the prediction small. Tuned on parts
    of the training samples of digits, MNIST, Fashion-MNIST, CIFAR-10 and synthetic, and on
    synthetic regressions.
    """
    inputs, hidden = spec.sizes[0], sum(spec.sizes[1:-1])
    if labels:
        return {"lr": 0.8 / (power * max(inputs + hidden / 16, 32))}
    eta = 1 / (power * max(inputs + hidden + inputs * spec.sizes[-1] / 2, 100))
    ratio = max(0.2 * power, 1 / (20 * hidden * eta)) if hidden else 0.2
    return {"lr": eta, "eta_apical": ratio, "eta_q": 4 * ratio}


def check(spec: NetworkSpec) -> None:
    """Raise BadOption unless the network has one hidden layer with identity or relu, a linear
    output and no biases.
    """
    if spec.layers != 2:
        expected = "input, one hidden layer, output"
        raise BadOption("sizes of bmvr", got=spec.sizes, expected=expected)
    if spec.activation[0] not in ("identity", "relu"):
        raise BadOption("activation of bmvr", got=spec.activation[0], expected="identity or relu")
    if spec.output != "identity":
        raise BadOption("output of bmvr", got=spec.output, expected="identity")
    if spec.bias:
        remedy = "centre input and target"
        raise BadOption("bias of bmvr", got=True, expected="False", remedy=remedy)


def check_hyperparameters(spec: NetworkSpec, hyper: Hyperparameters) -> None:
    """Raise BadOption for a ridge in the nonlinear form."""
    if hyper.ridge and not _linear(spec):
        raise BadOption("ridge of bmvr", got=hyper.ridge, expected="0 with activation relu")


def _linear(spec: NetworkSpec) -> bool:
    return spec.activation[0] == "identity"


def init(spec: NetworkSpec, hyper: Hyperparameters, rng: np.random.Generator) -> Parameters:
    """Normal W_1 and W_2, with standard deviations init_1 and init_2.

    Warns where the linear form has more hidden units than the largest possible rank of C_xy.
    """
    m, k, n = spec.sizes
    if _linear(spec) and k > n:
        text = (
            f"bmvr: {k} hidden units for {n} outputs; linear units encode {n} directions at most: "
            "in the others Q fades to 0, and the loss is no lower than with fewer units"
        )
        warnings.warn(text, stacklevel=2)
    W_1, W_2 = rng.normal(size=(k, m)), rng.normal(size=(n, k))
    return {"W": [hyper.init_1 * W_1, hyper.init_2 * W_2]}


def inhibition(start: Start) -> Array:
    """Q = init_q I"""
    return start.hyper.init_q * np.eye(start.shape[0])  # type: ignore[no-any-return]


def excitation(start: Start) -> Array:
    """R = Qᵀ, or init_q (I + N/√k) where ``decoupled``."""
    k, hyper = start.shape[0], start.hyper
    R: Array = start.params["Q"].copy()
    if hyper.decoupled:
        R += hyper.init_q / math.sqrt(k) * start.rng.normal(size=(k, k))
    return R


def forward_pass(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, masks: Any = None
) -> tuple[list[Any], list[Any]]:
    """(a, h) with h_1 = z: the activity minus its running mean."""
    current = x @ params["W"][0].T
    z = activations.apply(spec.activation[0], current)
    if masks is not None:
        z = z * masks[0]
    if "mean" in params:
        z = z - params["mean"]
    y = z @ params["W"][1].T
    return [x, current, y], [x, z, y]


def batch(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, y: Any, draws: Draws
) -> Any:
    """The rule on (batch, n) arrays; yields one `Update`."""
    xp = array_namespace(x)
    (W_1, W_2), Q, R = params["W"], params["Q"], params["R"]
    a, h = forward_pass(spec, params, hyper, x, draws.masks)
    z = h[1]
    n = z @ R.T
    delta = (n @ Q.T - y @ W_2) * activations.slope(spec.activation[0], a[1])  # − plateau
    if draws.masks is not None:
        delta = delta * draws.masks[0]
    samples, one = len(x), xp.eye(len(Q), dtype=x.dtype, device=device(x))
    leak = Term(W_2.T, one, hyper.eta_apical * samples)
    input_terms = [Term(delta, x)]
    zn = z.T @ n
    if hyper.ridge:  # equivalent to extra samples √c e_j with y = 0, one for every input j
        input_terms.append(Term((Q @ R).T, W_1, hyper.ridge * samples))
        zn = zn + hyper.ridge * samples * (W_1 @ W_1.T @ R.T)
    own = {"Q": hyper.eta_q * (samples * Q - zn), "R": hyper.eta_q * (samples * R - zn.T)}
    if "mean" in params:
        params["mean"] += hyper.mean_rate * xp.mean(z, axis=0)
    yield Update([input_terms, [Term(-hyper.eta_apical * y, z), leak]], own)


def tasks(spec: NetworkSpec, hyper: Any, sample: int) -> list[Task]:
    """No layer waits for the error; the hidden layer receives the target through W_2."""
    k, n = spec.sizes[1:]
    first, second, error = _tasks.standard(spec)
    mean: list[Ref] = [("mean", 1)] if spec.activation[0] == "relu" else []
    first = first._replace(reads=(*first.reads, *mean))
    hidden = _tasks.modulated(
        spec, 1, [_tasks.X, _tasks.Y, ("h", 1), ("W", 2)],
        updates=[("W", 1), ("Q", 1), ("R", 1)], more=n * k + 4 * k * k,
    )  # fmt: skip
    above = _tasks.modulated(spec, 2, [_tasks.Y, ("h", 1)], updates=[("W", 2), *mean])
    return [first, second, error, hidden, above]


@stage
def respond(layer: int, net: Layers, params: Any, a: Array, h: Array, mask: Array) -> None:
    """Fill a_l and h_l, given h_1, or a_1. Readable form: `forward_pass`."""
    layers.standard_pass(layer, net, a, h, mask)
    if layer == 1 and params.mean.size > 0:
        z = layers.units(net, h, 1)
        vectors.axpy(z, z.dtype.type(-1), params.mean)


@stage
def teach(
    layer: int,
    net: Layers,
    syn: InputSynapses,
    params: Any,
    hyper: Any,  # Hyperparameters as numbers
    step: Step,
    work: Work,
    mask: Array,
    noise: Array,
) -> None:
    """Teaching signal and update of one layer of one sample. Readable form: `batch`."""
    z, delta = layers.units(net, work.h, 1), layers.units(net, work.delta, layer)
    w = layers.matrix(net, net.W, 2)
    if layer == 1:
        n = layers.units(net, work.p, 1)
        moving, by_steps = syn.V.size > 0, syn.V.size > 0 or hyper.ridge > 0
        if by_steps:
            _inhibit(params, z, n, delta)
            _accelerate(params, z, n, hyper, step)
        else:
            _inhibit_and_step(params, z, n, delta, hyper.eta_q * step.eta)
        for i in range(work.y.size):
            if work.y[i] != 0:
                vectors.axpy(delta, -work.y[i], w[i])
        layers.gate(net, 1, work, mask)
        if hyper.ridge > 0 and not moving:
            _shrink(syn, params, hyper, step, n)
        updates.update(net, syn, 1, delta, work.h, work.c, step)
        if hyper.ridge > 0 and moving:
            _shrink(syn, params, hyper, step, n)
        if by_steps:
            for i in range(params.Q.size):
                params.Q[i] -= params.vQ[i]
                params.R[i] -= params.vR[i]
        return
    for i in range(delta.size):
        delta[i] = -work.y[i]
    one = net.W.dtype.type(1)
    # η_2 (ΔW + W) + η λ W: the leak is a weight decay of 1 at the rate η_2
    own = Step(hyper.eta_apical * step.eta, step.mu, one + step.lam / hyper.eta_apical)
    if net.vW.size == 0:
        for i in range(net.W.size):
            net.W[i] -= own.eta * net.W[i]
    updates.update(net, syn, 2, delta, work.h, work.c, own)
    if params.mean.size > 0:
        vectors.axpy(params.mean, hyper.mean_rate, z)


@stage
def _inhibit(params: Any, z: Array, n: Array, inhibition: Array) -> None:
    """n = R z, inhibition = Q n."""
    q, r = as_matrix(params.Q, z.size, z.size), as_matrix(params.R, z.size, z.size)
    for i in range(z.size):
        n[i] = vectors.dot(r[i], z)
    for i in range(z.size):
        inhibition[i] = vectors.dot(q[i], n)


@stage
def _inhibit_and_step(params: Any, z: Array, n: Array, inhibition: Array, rate: Scalar) -> None:
    """n = R z, inhibition = Q n; Q += η_q (z nᵀ − Q), R += η_q (n zᵀ − R).

    Row i of R determines n_i, and row i of Q the inhibition of unit i. Neither is needed later,
    so each row is changed while it is in the cache: one pass through memory.
    """
    k = z.size
    q, r = as_matrix(params.Q, k, k), as_matrix(params.R, k, k)
    for i in range(k):
        row, n_i = r[i], vectors.dot(r[i], z)
        n[i] = n_i
        for j in range(k):
            # z_j n_i is the same number for Q, which keeps R = Qᵀ to the last bit
            row[j] -= rate * (row[j] - z[j] * n_i)
    for i in range(k):
        row, z_i = q[i], z[i]
        inhibition[i] = vectors.dot(row, n)
        for j in range(k):
            row[j] -= rate * (row[j] - z_i * n[j])


@stage
def _accelerate(params: Any, z: Array, n: Array, hyper: Any, step: Step) -> None:
    """Velocities of Q and R: v ← μ v + η_q (Q − z nᵀ) + η λ Q."""
    k, rate = z.size, hyper.eta_q * step.eta
    leak = rate + step.eta * step.lam
    for i in range(k):
        for j in range(k):
            at = i * k + j
            dq, dr = leak * params.Q[at], leak * params.R[at]
            params.vQ[at] = step.mu * params.vQ[at] + dq - rate * (z[i] * n[j])
            params.vR[at] = step.mu * params.vR[at] + dr - rate * (z[j] * n[i])


@stage
def _shrink(syn: InputSynapses, params: Any, hyper: Any, step: Step, n: Array) -> None:
    """The ridge: W_1 −= η c Q R W_1; adds c W_1 W_1ᵀ Rᵀ to z nᵀ for Q, and its transpose for R.

    Called before the update of W_1, or, with velocities, after it: W_1 + V is then the old W_1.
    """
    pending.settle(syn)
    k, fall = n.size, step.eta * hyper.ridge
    rise = hyper.eta_q * fall
    q, r = as_matrix(params.Q, k, k), as_matrix(params.R, k, k)
    for row in range(syn.S.shape[0]):
        w = syn.S[row]
        for i in range(k):
            n[i] = vectors.dot(r[i], w)
        if syn.V.size > 0:
            for i in range(k):
                n[i] += vectors.dot(r[i], syn.V[row])
        for i in range(k):
            old = w[i]
            if syn.V.size > 0:
                old += syn.V[row, i]
            for j in range(k):
                change = rise * (old * n[j])
                params.vQ[i * k + j] -= change
                params.vR[j * k + i] -= change
            change = fall * vectors.dot(q[i], n)
            w[i] -= change
            if syn.V.size > 0:
                syn.V[row, i] += change


RULE = Rule(
    __name__,
    hyperparameters=Hyperparameters,
    losses=("mse",),
    properties=Properties(
        passes=1,
        weight_transport=False,
        nonlocal_signals=False,
        frozen_activity=False,
        update_locking="none",
    ),
    init=init,
    own=(
        Own("Q", lambda spec, hyper: (1, 1), drawn=inhibition, changes="stepped"),
        Own("R", lambda spec, hyper: (1, 1), drawn=excitation, changes="stepped"),
        # z̄, in the nonlinear form only
        Own("mean", lambda spec, hyper: None if _linear(spec) else (1,), changes="learned"),
    ),
    batch=batch,
    teach=teach,
    tasks=tasks,
    forward_pass=forward_pass,
    respond=respond,
    check=check,
    check_hyperparameters=check_hyperparameters,
    suits=suits,
    rate_warnings=_stability.rate_warnings,
    # the teaching signal is the inhibition by interneurons less the apical current
    activities=(("soma", "h"), ("interneuron", "p"), ("inhibition − apical", "delta")),
    defaults=DEFAULTS,
)
