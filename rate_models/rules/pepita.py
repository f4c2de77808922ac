"""PEPITA: present the error to perturb the input to modulate activity.

Two forward passes go through the same weights. The soma keeps the activity h_l of the standard
pass; the dendrite takes the activity p_l of the modulated pass, whose input has the error added.
Their mismatch is the teaching signal:

    h_0 = x,               h_l = m_l ∘ s_l(W_l h_{l-1})         standard pass,  e = h_L - y
    p_0 = x + s F e,       p_l = m_l ∘ s_l(W_l p_{l-1})         modulated pass, l < L
    ΔW_l = (h_l - p_l) p_{l-1}ᵀ  (l < L),      ΔW_L = e p_{L-1}ᵀ,      W_l ← W_l - η ΔW_l

x (n_0,) input, y (n_L,) target, e (n_L,) error, F (n_0, n_L) fixed random feedback,
W_l (n_l, n_{l-1}), m_l (n_l,) dropout mask, the same in both passes, s = ±1. All rates are
dimensionless. With a bias, Δb_l is the teaching signal. The Hebbian form replaces ΔW_l by two
products, each of the two activities at the ends of the synapse:

    ΔW_l = h_l h_{l-1}ᵀ - p_l p_{l-1}ᵀ  (l < L),      ΔW_L = h_L h_{L-1}ᵀ - y p_{L-1}ᵀ

The time-local form takes two optimiser steps: one with the first product before the modulated
pass, which then goes through the new weights, and one with the second product after it.
Both forms need smaller rates. With three hidden layers the Hebbian form can grow without bound
where the mismatch form learns, and the two time-local steps must be small to cancel. The mismatch
form can diverge in deep networks too: to first order ΔW_l = D_l W_l (h_{l-1} - p_{l-1}) p_{l-1}ᵀ
(D = diag s') is proportional to W_l. Rates must fall with depth, and the default rate does. At
rates that do not, five hidden layers diverged with ReLU, and did not with tanh.

For s = -1, h_1 - p_1 is D_1 W_1 F e where backpropagation has D_1 W_2ᵀ ... W_Lᵀ e, so F should
resemble (W_L ... W_1)ᵀ. Mirroring (``mirror_before``, ``mirror_every``) trains F to do so with
noise alone, before the network learns and periodically afterwards: see `rules._mirroring`.

In convolutions (`rate_models.batch.convolution`) h_l and p_l are maps before pooling, and the
paper's ΔK is the mean over positions (``conv_norm="mean"``).

Example: `dendrostream run --rule pepita --seed 0`
ends at 0.97 of held-out digits.

Source: Dellaferrera & Kreiman, ICML 2022, section 3.2 and algorithm 1; variants: sections 4.2 and 5
and appendix D. s = -1, the Hebbian and the time-local form, F with normal W, mirroring: Srinivasan
et al., ICLR 2024 ("mixed", "mixed_tl" in its program).
Deviations: ΔW_L uses the error of the standard pass, as in the paper's equations (one of its
programs uses that of the modulated pass). F is drawn as in the program: U(-b, b), b = κ √(6/n_0),
κ = 0.05; the paper's "standard deviation" is the full width of that interval. With a squared
error and a non-linear output, e, h_L and y are multiplied by s'(a_L) in ΔW_L. Adding the error at a
hidden layer is our ablation: layers at and below it do not learn.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from array_api_compat import array_namespace
from pydantic import Field

from rate_models.compiler.kernel import Array, stage
from rate_models.compiler.views import as_matrix
from rate_models.errors import BadOption
from rate_models.kernels import layers, updates, vectors
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, Work
from rate_models.model import activations, losses
from rate_models.model.hyperparameters import NotNegative, Positive, Share
from rate_models.model.optimizers import Step
from rate_models.model.products import added
from rate_models.network import Init, NetworkSpec, Parameters, forward
from rate_models.rules import (
    FIXED,
    Defaults,
    Draws,
    Noise,
    Own,
    Properties,
    Ref,
    Rule,
    Task,
    Term,
    Update,
    _mirroring,
    _perturbation,
    _tasks,
)
from rate_models.rules._feedback import factor, feedback

# Tuned with 256 hidden units on parts of the training samples of digits, MNIST, Fashion-MNIST,
# CIFAR-10 and synthetic, scored on other parts; squared: on synthetic regressions, autoencoders.
# slower: 0.002 for digits, 0.0005 for synthetic.
# depth: with digits, MNIST and synthetic, see docs/depth.md.
DEFAULTS = Defaults(rate=7.5, squared=0.3, depth=3, slower=(("form", "time_local", 0.02),))


class Hyperparameters(NamedTuple):
    """form: mismatch, hebbian or time_local, as above.
    sign: s of the modulation, +1 (2022) or -1 (2024).
    presynaptic: whether ΔW uses the presynaptic activity of the modulated or the standard pass.
    modulation: the signal that F carries: the error, its sign, or random numbers (a control).
    feedback_scale: κ of F, dimensionless; 0 is the control F = 0: only the last layer learns.
    perturbation: size k of the random numbers. range: their range, U[-1, 1) or U[0, 1).
    inject: the layer j to whose activity F adds the error; 0 is the input.
    dropout: probability that a hidden unit is silent for a sample.
    init: of W and F; with he_normal, F is a product of normal matrices, one per layer.
    mirror_before: number of samples at the start in which F mirrors and W does not learn.
    mirror_every: period, in samples, of mirroring afterwards; 0: never. Both options need he_normal
    and s = -1.
    mirror_rate: η_wm; for one sample at a time a third of it aligns F better. mirror_decay: λ_wm.
    mirror_noise: σ, in units of activity.
    """

    form: Literal["mismatch", "hebbian", "time_local"] = "mismatch"
    sign: Literal[1, -1] = 1
    presynaptic: Literal["modulated", "standard"] = "modulated"
    modulation: Literal["error", "sign", "random"] = "error"
    feedback_scale: Annotated[NotNegative, FIXED] = 0.05
    perturbation: NotNegative = 1.0
    range: Literal["symmetric", "positive"] = "symmetric"
    inject: Annotated[int, Field(ge=0), FIXED] = 0
    dropout: Share = 0.0
    init: Annotated[Init, FIXED] = "he_uniform"
    mirror_before: Annotated[int, Field(ge=0, le=_mirroring.LONGEST), FIXED] = 0
    mirror_every: Annotated[int, Field(ge=0, le=_mirroring.LONGEST), FIXED] = 0
    mirror_rate: NotNegative = 0.1
    mirror_decay: NotNegative = 0.5
    mirror_noise: Positive = 0.1


# Indices of these choices in their Literals
MISMATCH, HEBBIAN, TIME_LOCAL = range(3)
STANDARD, SIGN, RANDOM = 1, 1, 2


def check_hyperparameters(spec: NetworkSpec, hyper: Hyperparameters) -> None:
    """Raise BadOption where layer j does not exist, where h_l - p_l does not have a_l's shape, and
    for hyperparameters that mirroring does not allow.
    """
    if spec.widths != spec.sizes[1:]:
        raise BadOption("units of pepita", got="pooled", expected="maps, before pooling")
    deepest = max(spec.layers - 2, 0)
    if hyper.inject > deepest:
        raise BadOption("inject", got=hyper.inject, expected=f"0 (the input) to {deepest}")
    if spec.convolutional and _mirroring.asked(hyper):
        raise BadOption("mirroring", got="convolutions", expected="dense layers")
    _mirroring.check(hyper)


def feedback_layers(spec: NetworkSpec, hyper: Hyperparameters) -> tuple[int, int]:
    """F (n_j, n_L) joins the output with layer j."""
    return hyper.inject, spec.layers


def noise_widths(spec: NetworkSpec, hyper: Hyperparameters) -> list[int]:
    """One number per output unit for random modulation, one per presynaptic unit for mirroring."""
    if _mirroring.asked(hyper):
        return _mirroring.noise_widths(spec, hyper)
    return [spec.sizes[-1]] if hyper.modulation == "random" else []


def noise_of(hyper: Hyperparameters, u: Any) -> Any:
    """Normal numbers for mirroring; else uniform numbers in the chosen range."""
    if _mirroring.asked(hyper):
        return _perturbation.noise_of(hyper, u)
    return 2 * u - 1 if hyper.range == "symmetric" else u


def input_feedback(params: Parameters, hyper: Hyperparameters) -> Array | None:
    """F, where the error is added to the input."""
    return params["F"] if hyper.inject == 0 else None


def follows(spec: NetworkSpec, hyper: Hyperparameters) -> bool:
    """Whether ``params`` of `batch` may hold WF = W_1 F, see `textbook.gradients`."""
    fixed = hyper.inject == 0 and not _mirroring.asked(hyper)
    return fixed and hyper.form != "time_local" and not spec.convolutional


def batch(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, y: Any, draws: Draws
) -> Any:
    """The rule on (batch, n) arrays; yields one `Update`, the time-local form two."""
    xp = array_namespace(x)
    last, j = spec.layers, hyper.inject
    if _mirroring.asked(hyper):
        mirrors, learns = _mirroring.turn(params, hyper, len(x))
        if mirrors:
            _mirroring.mirror(spec, params, hyper, draws)
        if not learns:
            yield Update([None] * last)
            return
    a, h = forward(spec, params, x, draws.masks)
    e = h[last] - y
    if hyper.modulation == "error":
        signal = e
    elif hyper.modulation == "sign":
        signal = xp.sign(e)
    else:
        assert draws.noise is not None
        signal = hyper.perturbation * draws.noise[0]

    def post(layer: int, value: Any) -> Any:  # at the output times s'(a_L) for a squared error
        if layer < last:
            return value
        return losses.output_delta(spec.loss, spec.names[-1], a[last], value)

    frozen: list[list[Term] | None] = [None] * j
    learning = range(j + 1, last + 1)
    plus = [Term(post(n, h[n]), h[n - 1]) for n in learning]
    if hyper.form == "time_local":
        yield Update([*frozen, *([term] for term in plus)])

    p, signal = list(h), hyper.sign * signal
    p[j] = added(h[j], signal, params["F"].T)
    for layer in range(j + 1, last):
        # W (x + s F e) = W x + (W F) s e: W F has n_L columns, fewer than there are samples
        if layer == 1 and "WF" in params:
            current = added(a[1], signal, params["WF"].T)
        elif layer == 1 and len(x) > spec.sizes[last] and hyper.form != "time_local":
            current = added(a[1], signal, spec.current({**params, "b": []}, 1, params["F"].T))
        else:
            current = spec.current(params, layer, p[layer - 1])
        p[layer] = spec.activity(layer, current, draws.mask(layer))
    p[last] = y  # the target stands for the output's modulated activity
    pre = h if hyper.presynaptic == "standard" else p
    minus = [Term(post(n, p[n]), pre[n - 1], -1.0) for n in learning]
    if hyper.form == "mismatch":
        yield Update([*frozen, *([Term(post(n, h[n] - p[n]), pre[n - 1])] for n in learning)])
    elif hyper.form == "hebbian":
        yield Update([*frozen, *([one, other] for one, other in zip(plus, minus, strict=True))])
    else:
        yield Update([*frozen, *([term] for term in minus)])


def tasks(spec: NetworkSpec, hyper: Hyperparameters, sample: int) -> list[Task]:
    """The modulated pass goes up as the standard pass does, and each layer learns during it.

    In a sample that mirrors, the first item reads the weights of all layers, which is a barrier.
    """
    last, j, n = spec.layers, hyper.inject, spec.sizes
    mirrors, learns = _mirroring.when(hyper, sample)
    error = [] if hyper.modulation == "random" else [_tasks.E]
    entry: list[Ref] = [*error, ("F", 0), ("h", j)]  # what p_j needs
    own_pre = hyper.presynaptic == "standard" or hyper.form != "mismatch"
    learning: list[Task] = []
    if learns and j > 0:
        p_j = _tasks.modulated(spec, 1, entry, [("p", j)], updates=(), sweeps=0, more=n[j] * n[-1])
        learning.append(p_j)
    for layer in range(j + 1, last + 1) if learns else ():
        first, top = layer == 1, layer == last
        reads: list[Ref] = [("h", layer - 1)] if own_pre else []
        if not (top and hyper.presynaptic == "standard"):
            reads += entry if first else [("p", layer - 1)]
        reads += [_tasks.E] if top else [("W", layer), ("h", layer)]
        reads += [("h", last), _tasks.Y] if top and hyper.form != "mismatch" else []
        sweeps = (1 if top else 2) + (hyper.form == "time_local")
        writes: list[Ref] = [] if top else [("p", layer)]
        more = n[0] * n[-1] if first else 0
        learning.append(
            _tasks.modulated(
                spec, layer, tuple(dict.fromkeys(reads)), writes, sweeps=sweeps, more=more
            )
        )
    if mirrors:
        learning[:1] = [_mirroring.mirroring(spec, hyper, learning[:1])]
    return [*_tasks.standard(spec), *learning]


def regime(hyper: Hyperparameters, sample: int) -> tuple[bool, bool]:
    """Whether F mirrors in this sample, and whether W learns from it."""
    return _mirroring.when(hyper, sample)


def delays(hyper: Hyperparameters) -> bool:
    """False for forms with two products per update, and with mirroring."""
    return hyper.form == "mismatch" and not _mirroring.asked(hyper)


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
    """Modulated pass and update of one layer of one sample. Readable form: `batch`."""
    last, j = net.sizes.size - 1, int(hyper.inject)
    standard, mismatch = hyper.presynaptic == STANDARD, hyper.form == MISMATCH
    if params.phase.size > 0:
        if layer == 1 and _mirroring.turn_online(params.phase, hyper):
            _mirroring.mirror_online(net, syn, params, hyper, work, mask, noise)
        if _mirroring.alone(params.phase, hyper):
            return
    if layer == last and not mismatch and net.loss == losses.MSE:
        a = layers.units(net, work.a, last)
        activations.gate(net.kind[last], a, layers.units(net, work.h, last))
        activations.gate(net.kind[last], a, work.y)
    if layer > j and hyper.form == TIME_LOCAL:
        _first_step(layer, net, syn, step, work)
    if layer == 1:
        _modulate(net, params, hyper, work, noise)
    if layer <= j:
        return
    if 1 < layer < last and mismatch and layers.in_place(net):
        updates.pass_and_update(net, layer, standard, work, mask, step)
        return
    if layer == 1 and not (last == 1 and standard):
        layers.modulated_current(net, syn, work)
    elif layer < last:
        layers.current(net, layer, work.p, work.p)
    if layer < last:
        layers.activity(net, layer, work.p, work.p, mask)
    p = work.y if layer == last else layers.units(net, work.p, layer)
    if layer < last or not mismatch:
        _mismatch(layer, net, hyper, work, p)
    if layer == 1 and standard:
        work.c[:] = 0
    if hyper.form == HEBBIAN and not standard:
        h, none = layers.units(net, work.h, layer), work.c[:0]
        updates.contrast(net, syn, layer, h, work.h, none, p, work.p, work, step)
    else:
        delta, pre = layers.units(net, work.delta, layer), work.h if standard else work.p
        updates.update(net, syn, layer, delta, pre, work.c, step)


@stage
def _first_step(layer: int, net: Layers, syn: InputSynapses, step: Step, work: Work) -> None:
    """The first step of the time-local form, by h_l h_{l-1}ᵀ, before the modulated pass.

    Computes a_1 anew, through the new weights.
    """
    if layer == 1:
        work.c[:] = 0
    updates.update(net, syn, layer, layers.units(net, work.h, layer), work.h, work.c, step)
    if layer == 1:
        layers.input_current_again(net, syn, work.a)


@stage
def _mismatch(layer: int, net: Layers, hyper: Any, work: Work, p: Array) -> None:
    """δ_l = h_l − p_l, or −p_l in the time-local form, in which h_l had its own step."""
    h, delta = layers.units(net, work.h, layer), layers.units(net, work.delta, layer)
    if hyper.form == TIME_LOCAL:
        for i in range(delta.size):
            delta[i] = -p[i]
    else:
        for i in range(delta.size):
            delta[i] = h[i] - p[i]


@stage
def _modulate(net: Layers, params: Any, hyper: Any, work: Work, noise: Array) -> None:
    """c = s times the signal that F carries; where j is not the input, p_j = h_j + F c."""
    j, outputs, zero = int(hyper.inject), work.e.size, work.e.dtype.type(0)
    for i in range(outputs):
        e = work.e[i]
        if hyper.modulation == RANDOM:
            e = hyper.perturbation * noise[i]
        elif hyper.modulation == SIGN:
            e = e / abs(e) if e != zero else e
        work.c[i] = hyper.sign * e
    if j > 0:
        h, p = layers.units(net, work.h, j), layers.units(net, work.p, j)
        f = as_matrix(params.F, h.size, outputs)
        for i in range(h.size):
            p[i] = h[i] + vectors.dot(f[i], work.c)


RULE = Rule(
    __name__,
    hyperparameters=Hyperparameters,
    losses=losses.NAMES,
    properties=Properties(
        passes=2,
        weight_transport=False,
        nonlocal_signals=False,
        frozen_activity=False,
        update_locking="partial",
    ),
    own=(
        # learned by mirroring; without it F is fixed, and B and phase do not exist
        Own("B", each=_mirroring.factor_layers, drawn=factor, changes="learned", feedback=True),
        Own("F", feedback_layers, drawn=feedback, changes="learned", feedback=True),
        Own("phase", _mirroring.counted, changes="counts"),
    ),
    batch=batch,
    teach=teach,
    tasks=tasks,
    noise=Noise(noise_widths, noise_of),
    input_feedback=input_feedback,
    check_hyperparameters=check_hyperparameters,
    regime=regime,
    delays=delays,
    shares_rows=True,
    follows=follows,
    batches=delays,  # the same forms
    convolves=True,
    activities=(("soma", "h"), ("dendrite", "p")),
    defaults=DEFAULTS,
)
