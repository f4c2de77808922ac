"""Convolutional networks sample by sample in NumPy, from SPEC A4, C and E, to check ours against.

A convolution is written out as a dense matrix in which many entries are the same filter weight, and
pooling as a matrix that selects; then every rule is a few lines of linear algebra.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
CURVES: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0).astype(float)),
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
}


class Layer(NamedTuple):
    """matrix (n of a, n of x); place (the same): which weight an entry is, -1 for none; owner (n of
    a,): whose bias; windows: the maps' indices that each pooled number is taken from."""

    matrix: Array
    place: Array
    owner: Array
    windows: list[list[int]]


def convolution(K: Array, entry: Any, padding: int, pool: int, step: int) -> Layer:
    filters, channels, side, _ = K.shape
    rows, columns = (n + 2 * padding - side + 1 for n in entry[1:])
    matrix = np.zeros((filters * rows * columns, channels * entry[1] * entry[2]))
    place = np.full(matrix.shape, -1)
    for o, i, j in np.ndindex(filters, rows, columns):
        for c, di, dj in np.ndindex(channels, side, side):
            at = i + di - padding, j + dj - padding
            if 0 <= at[0] < entry[1] and 0 <= at[1] < entry[2]:
                here = (o * rows + i) * columns + j, (c * entry[1] + at[0]) * entry[2] + at[1]
                matrix[here] = K[o, c, di, dj]
                place[here] = np.ravel_multi_index((o, c, di, dj), K.shape)
    windows = []
    for o in range(filters):
        for i in range(0, max(rows - pool + step, 1), step):
            for j in range(0, max(columns - pool + step, 1), step):
                inside = [(r, s) for r in range(i, i + pool) for s in range(j, j + pool)]
                windows.append([
                    (o * rows + r) * columns + s for r, s in inside if r < rows and s < columns
                ])  # fmt: skip
    return Layer(matrix, place, np.repeat(np.arange(filters), rows * columns), windows)


def dense(W: Array) -> Layer:
    n = len(W)
    return Layer(W, np.arange(W.size).reshape(W.shape), np.arange(n), [[i] for i in range(n)])


def pooled(layer: Layer, u: Array) -> Array:
    return np.array([max(u[i] for i in window) for window in layer.windows])


def unpooled(layer: Layer, u: Array, back: Array) -> Array:
    out = np.zeros(len(u))
    for window, value in zip(layer.windows, back, strict=True):
        out[max(window, key=lambda i: u[i])] += value
    return out


class Pass(NamedTuple):
    """a_l and maps u_l, l = 1..L; x_l, what each takes in, l = 1..L; and the output."""

    a: list[Array]
    u: list[Array]
    x: list[Array]
    output: Array


class Loops:
    """One sample at a time; ``layers`` have a bias each, maybe zero. Softmax, cross-entropy."""

    def __init__(self, layers: list[Layer], biases: list[Array], curve: str, units: str) -> None:
        self.layers, self.biases, self.units = layers, biases, units
        self.s, self.slope = CURVES[curve]

    def run(self, x: Array, masks: list[Array], noise: list[Array] | None = None) -> Pass:
        """noise: c ξ_l, added to the maps or to what pooling leaves, as ``units`` states."""
        a, u, entries = [], [], []
        for i, (layer, b) in enumerate(zip(self.layers, self.biases, strict=True)):
            entries.append(x)
            a.append(layer.matrix @ x + b[layer.owner])
            if i == len(self.layers) - 1:
                break
            u.append(self.s(a[-1]))
            if self.units == "maps":
                u[-1] = u[-1] * masks[i] + (0 if noise is None else noise[i])
                x = pooled(layer, u[-1])
            else:
                x = pooled(layer, u[-1]) * masks[i] + (0 if noise is None else noise[i])
        z = np.exp(a[-1] - a[-1].max())
        return Pass(a, u, entries, z / z.sum())

    def delta(self, i: int, at: Pass, back: Array, mask: Array) -> Array:
        """δ at the maps from what arrives where the layer's activity is taken."""
        if self.units == "pooled":
            return unpooled(self.layers[i], at.u[i], back * mask) * self.slope(at.a[i])
        return back * mask * self.slope(at.a[i])

    def down(self, i: int, matrix: Array, delta: Array, at: Pass) -> Array:
        """What layer i hands to the activity of the layer below, through ``matrix``."""
        back = matrix.T @ delta
        if self.units == "maps":
            return unpooled(self.layers[i - 1], at.u[i - 1], back)
        return back

    def product(self, i: int, post: Array, pre: Array, mean: bool) -> tuple[Array, Array]:
        """ΔW, flat, and Δb; pre: what layer i takes in."""
        layer = self.layers[i]
        products, weights = np.outer(post, pre), np.zeros(layer.place.max() + 1)
        for here in zip(*np.nonzero(layer.place >= 0), strict=True):
            weights[layer.place[here]] += products[here]
        bias = np.array([post[layer.owner == o].sum() for o in range(layer.owner.max() + 1)])
        places = (layer.owner == 0).sum() if mean else 1
        return weights / places, bias / places


Posts = list[tuple[Array, Array]]  # post and pre of every layer


def backprop(net: Loops, own: Any, x: Array, y: Array, masks: Any, noise: Any) -> Posts:
    at = net.run(x, masks)
    delta, found = at.output - y, []
    for i in range(len(net.layers) - 1, -1, -1):
        found.append((delta, at.x[i]))
        if i > 0:
            matrix = own["through"][i] if "through" in own else net.layers[i].matrix
            delta = net.delta(i - 1, at, net.down(i, matrix, delta, at), masks[i - 1])
    return found[::-1]


def direct(net: Loops, own: Any, x: Array, y: Array, masks: Any, noise: Any) -> Posts:
    """own: B, and whether the target is sent."""
    at = net.run(x, masks)
    sent = y if own["target"] else at.output - y
    found = [(net.delta(i, at, B @ sent, masks[i]), at.x[i]) for i, B in enumerate(own["B"])]
    return [*found, (at.output - y, at.x[-1])]


def pepita(net: Loops, own: Any, x: Array, y: Array, masks: Any, noise: Any) -> Posts:
    at = net.run(x, masks)
    e = at.output - y
    modulated = net.run(x + own["F"] @ e, masks)
    found = [(at.u[i] - modulated.u[i], modulated.x[i]) for i in range(len(net.layers) - 1)]
    return [*found, (e, modulated.x[-1])]


def estimates(net: Loops, c: float, x: Array, y: Array, masks: Any, noise: Any) -> list[Array]:
    """λ̂_l = (L̃ - L) ξ_l / c."""
    clean, noisy = net.run(x, masks), net.run(x, masks, [c * xi for xi in noise])
    rise = np.log(clean.output @ y) - np.log(noisy.output @ y)
    return [rise / c * xi for xi in noise]


def reinforce(net: Loops, own: Any, x: Array, y: Array, masks: Any, noise: Any) -> Posts:
    at, found = net.run(x, masks), estimates(net, own["c"], x, y, masks, noise)
    posts = [(net.delta(i, at, back, masks[i]), at.x[i]) for i, back in enumerate(found)]
    return [*posts, (at.output - y, at.x[-1])]


def node_perturbation(net: Loops, own: Any, x: Array, y: Array, masks: Any, noise: Any) -> Posts:
    at = net.run(x, masks)
    sent = {"B": [B.T for B in own["B"]], "target": False}
    found = estimates(net, own["c"], x, y, masks, noise)
    e = at.output - y
    for B, change, estimate in zip(own["B"], own["change"], found, strict=True):
        change += np.outer(e, B.T @ e - estimate)
    own["V"] += np.outer(e, e)
    return direct(net, sent, x, y, masks, noise)
