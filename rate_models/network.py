"""A network: layer sizes, activations, loss and biases; its parameters and their initial values.

Parameters are a dict of arrays named as in the papers: ``W`` a list of W_l (n_l, n_{l-1}),
``b`` a list of b_l (n_l,) (empty without biases), and whatever the rule adds (``F``, ``B``, ...).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, UnknownName, quoted
from rate_models.model import activations, losses, products
from rate_models.model.hyperparameters import bounded
from rate_models.support.arguments import check_text, elements
from rate_models.support.estimates import check_network

Parameters = dict[str, Any]
Init = Literal["he_uniform", "he_normal", "torch_uniform"]

WIDEST = 2**31 - 1  # units of a layer

# Independent streams of random numbers from one seed; each new use takes a new number.
WEIGHTS, FEEDBACK, MASKS, NOISE, SIMULATION, SIGNS, ASYMMETRY = range(7)


@dataclass(frozen=True)
class NetworkSpec:
    """A feed-forward network h_l = s_l(W_l h_{l-1} + b_l), l = 1..L, h_0 = x.

    sizes: n_0, n_1, ..., n_L (input, hidden layers, output).
    activation: of the hidden layers, one name or one per hidden layer.
    loss: cross_entropy | binary_cross_entropy | mse.
    bias: whether b_l exists and learns.
    output: activation of the output layer; None means the one that matches the loss.

    Raises BadOption or UnknownName for a field that is not allowed.

    >>> NetworkSpec((64, 32, 10)).layers
    2
    """

    sizes: tuple[int, ...]
    activation: str | tuple[str, ...] = "relu"
    loss: str = "cross_entropy"
    bias: bool = False
    output: str | None = None

    def __post_init__(self) -> None:
        expected = "at least two positive whole numbers"
        example = "for example (64, 256, 10): input, hidden layers, output"
        sizes = elements("sizes", self.sizes, f"{expected}, {example}")
        whole = all(
            isinstance(n, int | np.integer) and not isinstance(n, bool | np.timedelta64) and n > 0
            for n in sizes
        )
        if whole and max(sizes, default=0) > WIDEST:
            raise BadOption("sizes", got=quoted(sizes), expected=f"layers of at most {WIDEST:,}")
        if len(sizes) < 2 or not whole:
            raise BadOption("sizes", got=quoted(sizes), expected=expected, remedy=example)
        object.__setattr__(self, "sizes", tuple(int(n) for n in sizes))
        if not isinstance(self.bias, bool | np.bool_):
            raise BadOption("bias", got=quoted(self.bias), expected="true or false")
        object.__setattr__(self, "bias", bool(self.bias))
        hidden = len(sizes) - 2
        given = bounded("activation", self.activation)
        expected = "a name, or one a hidden layer"
        if isinstance(given, str):
            names: tuple[Any, ...] = (given,) * hidden
        else:
            names = elements("activation", given, expected)
        for name in names:
            if not isinstance(name, str):
                raise BadOption("activation", got=quoted(name), expected=expected)
        for name in names if names else (given,) if isinstance(given, str) else ():
            if activations.code(name) == activations.SOFTMAX:
                raise BadOption("activation", got="softmax", expected="an elementwise activation")
        if len(names) != hidden:
            raise BadOption("activation", got=names, expected=f"{hidden} names, one a hidden layer")
        object.__setattr__(self, "activation", names)
        object.__setattr__(self, "loss", bounded("loss", self.loss))
        check_text("loss", self.loss)
        check_text("output", self.output)
        object.__setattr__(self, "output", losses.output_for(self.loss, self.output))

    @property
    def layers(self) -> int:
        """L, the number of weight matrices."""
        return len(self.sizes) - 1

    @property
    def names(self) -> tuple[str, ...]:
        """The activation of each layer 1..L."""
        assert self.output is not None
        return (*self.activation, self.output)

    @property
    def shapes(self) -> Sequence[tuple[int, ...]]:
        """The shape (n_l, n_{l-1}) of each W_l."""
        return [(self.sizes[i + 1], self.sizes[i]) for i in range(self.layers)]

    # The operations of a layer l = 1..L that rules use. Convolutions override them, see
    # `batch.convolution`.

    @property
    def convolutional(self) -> bool:
        """Whether a layer is a convolution; kernels and circuits do not support them."""
        return False

    @property
    def widths(self) -> tuple[int, ...]:
        """The size of each a_l, l = 1..L: n_l, unless the layer is pooled."""
        return self.sizes[1:]

    def drops(self, layer: int) -> bool:
        """Whether dropout is applied to a hidden layer."""
        return True

    def current(self, params: Parameters, layer: int, below: Any) -> Any:
        """a_l = W_l h_{l-1} + b_l, from h_{l-1} (batch, n_{l-1})."""
        a = below @ params["W"][layer - 1].T
        return a + params["b"][layer - 1] if params["b"] else a

    def activity(self, layer: int, a: Any, mask: Any = None) -> Any:
        """h_l = m_l ∘ s_l(a_l) (batch, n_l)."""
        h = activations.apply(self.names[layer - 1], a)
        return h if mask is None else h * mask

    def back(self, layer: int, weights: Any, delta: Any, below: Any) -> Any:
        """W_lᵀ δ_l (batch, n_{l-1}); weights: W_l, or feedback of its shape; below: h_{l-1}."""
        return delta @ weights

    def gate(self, layer: int, a: Any, back: Any, mask: Any = None) -> Any:
        """δ_l = m_l ∘ s_l'(a_l) ∘ λ_l of a hidden layer; back: λ_l (batch, n_l), for ∂L/∂h_l."""
        delta = back * activations.slope(self.names[layer - 1], a)
        return delta if mask is None else delta * mask

    def outer(self, layer: int, post: Any, pre: Any, factor: float = 1.0) -> Any:
        """factor · Σ post preᵀ over the batch, of W_l's shape.

        post (batch, n_l), pre (batch, n_{l-1}).
        """
        return products.scaled(factor, post.T, pre)

    def total(self, layer: int, post: Any) -> Any:
        """Σ post over the batch, of b_l's shape: `outer` with pre = 1."""
        return post.sum(0)


def check_seed(seed: object) -> None:
    """Raise BadOption unless ``seed`` is a whole number from 0 on."""
    check_whole("seed", seed, 0)


def check_whole(what: str, number: object, least: int = 1) -> None:
    """Raise BadOption unless ``number`` is a whole number from ``least`` on.

    >>> check_whole("epochs", 2.5)
    Traceback (most recent call last):
    rate_models.errors.BadOption: epochs: got 2.5; expected a whole number from 1 on
    """
    odd = isinstance(number, bool | np.timedelta64)  # NumPy has durations among the integers
    if odd or not isinstance(number, int | np.integer) or number < least:
        raise BadOption(what, got=quoted(number), expected=f"a whole number from {least} on")


def check_dense(what: str, spec: NetworkSpec) -> None:
    """Raise BadOption where a layer is a convolution."""
    if spec.convolutional:
        raise BadOption(what, got="convolutions", expected="dense layers",
                        remedy="rate_models.batch.BatchNetwork learns convolutions")  # fmt: skip


def draw(
    name: str, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int
) -> NDArray[np.float64]:
    """A random array, drawn from the distribution called ``name``.

    he_uniform: U(-b, b), b = √(6 / fan_in). he_normal: N(0, 2 / fan_in). Both have std √(2/fan_in).
    torch_uniform: U(-b, b), b = 1 / √fan_in, the initialisation of PyTorch's layers.
    Raises UnknownName for another name.

    >>> draw("he_uniform", np.random.default_rng(0), (2, 3), 3).shape
    (2, 3)
    """
    if name == "he_normal":
        return rng.normal(0.0, math.sqrt(2 / fan_in), shape)
    if name not in get_args(Init):
        raise UnknownName("init", got=repr(name), expected=f"one of {', '.join(get_args(Init))}")
    bound = math.sqrt((6 if name == "he_uniform" else 1) / fan_in)
    return rng.uniform(-bound, bound, shape)


def initial_weights(spec: NetworkSpec, seed: int, init: str = "he_uniform") -> Parameters:
    """W_l drawn by ``init`` and b_l = 0, float64. A seed gives the same in all implementations.

    >>> [w.shape for w in initial_weights(NetworkSpec((4, 3, 2)), seed=0)["W"]]
    [(3, 4), (2, 3)]
    """
    if not spec.convolutional:
        check_network(spec.sizes)
    rng = np.random.default_rng([seed, WEIGHTS])
    weights = [draw(init, rng, shape, fan_in=math.prod(shape[1:])) for shape in spec.shapes]
    biases = [np.zeros(shape[0]) for shape in spec.shapes] if spec.bias else []
    return {"W": weights, "b": biases}


def forward(
    spec: NetworkSpec, params: Parameters, x: Any, masks: Sequence[Any] | None = None
) -> tuple[list[Any], list[Any]]:
    """The standard pass: pre-activations a_l and activities h_l, (batch, n_l), index = layer.

    a_l = W_l h_{l-1} + b_l, h_l = m_l ∘ s_l(a_l), h_0 = x (a_0 is x too, and is not used).
    masks: dropout masks m_l of the hidden layers (batch, n_l), or None.
    """
    a, h = [x], [x]
    for layer in range(1, spec.layers + 1):
        mask = masks[layer - 1] if masks is not None and layer < spec.layers else None
        a.append(spec.current(params, layer, h[-1]))
        h.append(spec.activity(layer, a[-1], mask))
    return a, h


def one_hot(labels: NDArray[np.int64], n: int, dtype: Any = np.float64) -> NDArray[Any]:
    """Targets y (N, n) with y[i, labels[i]] = 1."""
    y = np.zeros((len(labels), n), dtype)
    y[np.arange(len(labels)), labels] = 1
    return y
