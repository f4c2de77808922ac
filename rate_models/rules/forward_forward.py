"""Forward-Forward: every layer learns to distinguish right from wrong labels by its own activity.

The label is part of the input. A pass with the right label should excite a layer, a pass with a
wrong label should not. A pass without a label makes the prediction:

    h_0 = x,            h_l = N(m_l ∘ s_l(W_l h_{l-1} + b_l))     neutral pass,  e = h_L - y
    p_0 = x + K (y - 1/n_L),    p_l = N(u_l),   u_l = m_l ∘ s_l(W_l p_{l-1} + b_l)    right label
    q_0 = x + K (ȳ - 1/n_L),    q_l = N(v_l),   v_l = m_l ∘ s_l(W_l q_{l-1} + b_l)    wrong label
    N(v) = v / (√G(v) + 10⁻⁴),    G(v) = ‖v‖² / n_l                goodness: the mean square

Each hidden layer descends a logistic loss of its own, in which its input is a constant:

    threshold:  L_l = ½ n_l τ [ζ((θ - G(u_l)) / τ) + ζ((G(v_l) - θ) / τ)],    ζ(z) = log(1 + e^z)
    contrast:   L_l = ½ n_l τ ζ((G(v_l) - G(u_l)) / τ)
    ΔW_l = ε ρ_l [σ(..v) (v_l ∘ m_l ∘ s_l') q_{l-1}ᵀ - σ(..u) (u_l ∘ m_l ∘ s_l') p_{l-1}ᵀ],    l < L
    ΔW_L = ρ_L e h_{L-1}ᵀ,    ρ_1 = 1,  ρ_l = ρ / n_{l-1}

with σ(..) the sigmoid of the argument of ζ in L_l. The factor ½ n_l τ makes the update independent
of n_l, and ρ_l makes it independent of n_{l-1}, as ‖N(v)‖² is about the number of units.
x (n_0,) input, y (n_L,) one-hot, ȳ (n_L,) one-hot at a wrong label, W_l (n_l, n_{l-1}),
m_l (n_l,) dropout mask, the same in all passes, θ threshold and τ temperature in units of goodness.
K (n_0, n_L) ~ U(±κ √(3/n_0)), fixed: its columns have a length of about κ. N hides the length of a
layer's activity, and so its goodness, from the layer above. In the neutral pass each label has the
weight 1/n_L, as in the paper, so the other passes add K times the difference from that. A layer
waits for nothing above it except the wrong label, which is drawn as the neutral pass predicts it.

Example: `dendrostream run --rule forward_forward --seed 0`
ends at 0.97 of held-out digits.

Source: Hinton, arXiv 2212.13345, 2022, section 3.3; as a comparison in Srinivasan et al., ICLR
2024. contrast: Lee & Song, arXiv 2303.08418, 2023.
Deviations: one sample at a time. G is a mean, with a temperature τ; the paper's sum corresponds to
τ = 1/n_l. The paper writes the label into the first pixels, which are black in MNIST; K needs no
unused pixels. The paper's readout uses all hidden layers except the first; here it uses the last
one, as in the other rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

from rate_models.compiler.kernel import Array, Scalar, stage
from rate_models.errors import BadOption
from rate_models.kernels import input_passes, layers, updates, vectors
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, Work
from rate_models.model import activations
from rate_models.model.hyperparameters import NotNegative, Positive, Share
from rate_models.model.optimizers import Step
from rate_models.network import Init, NetworkSpec, Parameters
from rate_models.rules import (
    FIXED,
    Defaults,
    Draws,
    Noise,
    Own,
    Properties,
    Ref,
    Rule,
    Start,
    Task,
    Term,
    Update,
    _tasks,
)
from rate_models.rules._goodness import (
    goodness,
    goodness_of,
    label_codes,
    normalise,
    normalised,
    sigmoid,
    sigmoid_of,
    wrong_label,
)

DEFAULTS = Defaults()


class Hyperparameters(NamedTuple):
    """objective: L_l, as above. threshold: θ. temperature: τ.
    label_scale: κ, the length of a label in the input.
    negatives: whether wrong labels are drawn as the neutral pass predicts them, or uniformly.
    eta_hidden: ε, rate of the hidden layers over η; with 0, a control, they stay as drawn.
    eta_above: ρ, rate above the first layer, for activities of length one.
    dropout: probability that a hidden unit is silent for a sample. init: of W.
    """

    objective: Literal["threshold", "contrast"] = "threshold"
    threshold: Positive = 2.0
    temperature: Positive = 0.125
    label_scale: Annotated[NotNegative, FIXED] = 3.0
    negatives: Literal["predicted", "uniform"] = "predicted"
    eta_hidden: NotNegative = 0.05
    eta_above: Positive = 20.0
    dropout: Share = 0.0
    init: Annotated[Init, FIXED] = "he_uniform"


CONTRAST, UNIFORM = 1, 1  # indices of these choices in their Literals


def suits(spec: NetworkSpec, labels: bool, power: float) -> dict[str, float]:
    """η = 8 / max(Σ_l n_l, 100) over the hidden layers; ε η = 0.2 / ‖x‖²,  ‖x‖² = n_0 ⟨x²⟩.

    Layers above the first receive activities of goodness one, whatever the size of the input. Tuned
    on parts of the training samples of digits, MNIST, Fashion-MNIST and CIFAR-10, with 256 hidden
    units.
    """
    eta = 8 / max(sum(spec.sizes[1:-1]), 100)
    return {"lr": eta, "eta_hidden": 0.2 / (eta * spec.sizes[0] * power)}


def check(spec: NetworkSpec) -> None:
    """Raise BadOption for a single output: there is no wrong label."""
    if spec.sizes[-1] < 2:
        raise BadOption("sizes for forward_forward", got=spec.sizes, expected="two classes or more")


def label_pattern(start: Start) -> Array:
    """K (n_0, n_L) ~ U(±κ √(3/n_0)), κ ``label_scale``."""
    bound: float = start.hyper.label_scale * math.sqrt(3 / start.shape[0])
    return start.rng.uniform(-1, 1, start.shape) * bound


def noise_widths(spec: NetworkSpec, hyper: Hyperparameters) -> list[int]:
    """One number, which chooses the wrong label."""
    return [1] if spec.layers > 1 else []


def noise_of(hyper: Hyperparameters, u: Array) -> Array:
    """Uniform numbers in [0, 1), unchanged."""
    return u


def input_feedback(params: Parameters, hyper: Hyperparameters) -> Array | None:
    """K."""
    return params["K"]  # type: ignore[no-any-return]


def _layer(
    spec: NetworkSpec, params: Parameters, layer: int, x: Any, masks: Sequence[Any] | None
) -> tuple[Any, Any, Any]:
    """(a_l, v_l, N(v_l)) of a hidden layer, from the activity x (batch, n_{l-1}) below it."""
    a = x @ params["W"][layer - 1].T
    if params["b"]:
        a = a + params["b"][layer - 1]
    v = activations.apply(spec.names[layer - 1], a)
    if masks is not None:
        v = v * masks[layer - 1]
    return a, v, normalised(v)


def forward_pass(
    spec: NetworkSpec,
    params: Parameters,
    hyper: Hyperparameters,
    x: Any,
    masks: Sequence[Any] | None = None,
) -> tuple[list[Any], list[Any]]:
    """(a, h) of the neutral pass, (batch, n_l) each."""
    a, h = [x], [x]
    for layer in range(1, spec.layers):
        pre, _, post = _layer(spec, params, layer, h[-1], masks)
        a.append(pre)
        h.append(post)
    out = h[-1] @ params["W"][-1].T
    out = out + params["b"][-1] if params["b"] else out
    return [*a, out], [*h, activations.apply(spec.names[-1], out)]


def batch(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, y: Any, draws: Draws
) -> Any:
    """The rule on (batch, n) arrays; yields one `Update`."""
    last = spec.layers
    _, h = forward_pass(spec, params, hyper, x, draws.masks)
    terms: list[list[Term] | None] = []
    if last > 1:
        assert draws.noise is not None
        wrong = wrong_label(h[last], y, draws.noise[0], hyper.negatives == "uniform")
        p = x + (y - 1 / spec.sizes[-1]) @ params["K"].T
        q = x + (wrong - 1 / spec.sizes[-1]) @ params["K"].T
    for layer in range(1, last):
        name = spec.names[layer - 1]
        a, u, above = _layer(spec, params, layer, p, draws.masks)
        a_wrong, v, above_wrong = _layer(spec, params, layer, q, draws.masks)
        u_post, v_post = u * activations.slope(name, a), v * activations.slope(name, a_wrong)
        if draws.masks is not None:
            u_post, v_post = u_post * draws.masks[layer - 1], v_post * draws.masks[layer - 1]
        good, bad = goodness(u), goodness(v)
        over, under = hyper.threshold, hyper.threshold
        if hyper.objective == "contrast":
            over, under = bad, good
        right = sigmoid((over - good) / hyper.temperature)
        false = sigmoid((bad - under) / hyper.temperature)
        rate = hyper.eta_hidden * (hyper.eta_above / spec.sizes[layer - 1] if layer > 1 else 1)
        terms.append([Term(false * v_post, q, rate), Term(right * u_post, p, -rate)])
        p, q = above, above_wrong
    rate = hyper.eta_above / spec.sizes[-2] if last > 1 else 1.0
    yield Update([*terms, [Term(h[last] - y, h[last - 1], rate)]])


def tasks(spec: NetworkSpec, hyper: Hyperparameters, sample: int) -> list[Task]:
    """The first layer waits for the prediction, if the wrong label is drawn from it."""
    learning = []
    for n in range(1, spec.layers):
        reads: list[Ref] = [("W", n), ("p", n - 1), ("q", n - 1), ("h", n)]
        labels = 0
        if n == 1:
            reads, labels = [("W", 1), _tasks.X, _tasks.Y, ("h", 1), ("K", 0)], spec.sizes[0]
            reads += [("h", spec.layers)] if hyper.negatives == "predicted" else []
        learning.append(
            _tasks.modulated(
                spec, n, reads, [("p", n), ("q", n)], sweeps=4, more=2 * labels * spec.sizes[-1]
            )
        )
    return [*_tasks.standard(spec), *learning, _tasks.output(spec)]


@stage
def respond(layer: int, net: Layers, params: Any, a: Array, h: Array, mask: Array) -> None:
    """Fill a_l and h_l, given h_{l-1}, or a_1. Readable form: `forward_pass`."""
    layers.standard_pass(layer, net, a, h, mask)
    if layer < net.sizes.size - 1:
        normalise(layers.units(net, h, layer))


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
    """Passes with a label, and update, of one layer of one sample. Readable form: `batch`."""
    last, delta = net.sizes.size - 1, layers.units(net, work.delta, layer)
    rate = delta.dtype.type(1)
    if layer > 1:
        rate = hyper.eta_above / delta.dtype.type(net.sizes[layer - 1])
    if layer == last:
        for i in range(delta.size):
            delta[i] = rate * work.e[i]
        if layer == 1:
            work.c[:] = 0
        updates.update(net, syn, layer, delta, work.h, work.c, step)
        return
    wrong = layers.units(net, work.post, last)  # scratch that the output layer does not use
    if layer == 1:
        h = layers.units(net, work.h, last)
        label_codes(work.y, h, noise[0], hyper.negatives == UNIFORM, work.c, wrong)
    # u_l and v_l, which are then overwritten with the teaching signals
    right, false = layers.units(net, work.a, layer), layers.units(net, work.post, layer)
    _current(layer, net, syn, wrong, work, work.q)
    _current(layer, net, syn, work.c, work, work.p)
    layers.activity(net, layer, work.p, work.a, mask)
    layers.activity(net, layer, work.q, work.post, mask)
    good, bad = goodness_of(right), goodness_of(false)
    over, under = hyper.threshold, hyper.threshold
    if hyper.objective == CONTRAST:
        over, under = bad, good
    rate *= hyper.eta_hidden
    z, z_wrong = (over - good) / hyper.temperature, (bad - under) / hyper.temperature
    _drive(layer, net, work.p, right, rate * sigmoid_of(z), mask)
    _drive(layer, net, work.q, false, rate * sigmoid_of(z_wrong), mask)
    for i in range(delta.size):
        delta[i] = false[i] - right[i]
    updates.contrast(net, syn, layer, false, work.q, wrong, right, work.p, work, step)


@stage
def _current(layer: int, net: Layers, syn: InputSynapses, c: Array, work: Work, out: Array) -> None:
    """out_l = W_l out_{l-1} + b_l; for the first layer, W_1 (x + K c) + b_1."""
    if layer == 1:
        current = layers.units(net, out, 1)
        input_passes.through(syn, c, current)
        vectors.axpy(current, current.dtype.type(1), layers.units(net, work.a, 1))
    else:
        layers.current(net, layer, out, out)


@stage
def _drive(layer: int, net: Layers, source: Array, post: Array, gain: Scalar, mask: Array) -> None:
    """Multiply post, initially m_l ∘ s_l(source_l), by gain · m_l ∘ s_l'. Then replace source_l by
    the normalised activity.
    """
    activations.gate(net.kind[layer], layers.units(net, source, layer), post)
    if mask.size > 0:
        m = layers.units(net, mask, layer)
        for i in range(post.size):
            post[i] *= m[i]
    factor = post.dtype.type(gain)
    for i in range(post.size):
        post[i] *= factor
    layers.activity(net, layer, source, source, mask)
    normalise(layers.units(net, source, layer))


RULE = Rule(
    __name__,
    hyperparameters=Hyperparameters,
    losses=("cross_entropy", "binary_cross_entropy"),
    properties=Properties(
        passes=3,
        weight_transport=False,
        nonlocal_signals=True,  # G, one number per layer, is a sum over its units
        frozen_activity=False,
        update_locking="partial",
    ),
    own=(Own("K", lambda spec, hyper: (0, spec.layers), drawn=label_pattern),),
    batch=batch,
    teach=teach,
    tasks=tasks,
    noise=Noise(noise_widths, noise_of),
    forward_pass=forward_pass,
    respond=respond,
    input_feedback=input_feedback,
    check=check,
    suits=suits,
    defaults=DEFAULTS,
)
