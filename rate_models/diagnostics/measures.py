"""Measures of a network and of its rule's updates: angles and norms.

Pure functions of arrays, which do not change their arguments. Angles are in degrees, 0 to 180, and
nan where one of the two arrays is zero. All other values are dimensionless unless stated. Figures
of these numbers are in `rate_models.diagnostics.plots`; `rate_models.diagnostics.recordables` lists
those that a run can record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models import rules
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import checked
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules import Description, Draws
from rate_models.textbook import gradients, mapped

Array = NDArray[np.float64]
NO_DRAWS = Draws()


def angle(a: ArrayLike, b: ArrayLike) -> float:
    """The angle between two arrays of the same shape, as vectors, in degrees.

    2 atan2(‖â - b̂‖, ‖â + b̂‖) with â = a / ‖a‖. It equals arccos of the cosine, but does not lose
    digits near 0 and 180 (Kahan 2006). Raises BadOption for different shapes.

    >>> angle([[1, 0]], [[1, 1]]), angle([1, 2], [1, 2]), angle([1, 2], [-1, -2])
    (45.0, 0.0, 180.0)
    """
    a, b = _pair(a, b)
    if not (a.any() and b.any()):
        return float("nan")
    a, b = a / _norm(a), b / _norm(b)
    return float(np.degrees(2 * np.arctan2(_norm(a - b), _norm(a + b))))


class Link(NamedTuple):
    """A feedback matrix from layer ``above`` to layer ``below`` (0: the input).

    name, item: of the matrix in the parameters; item is None for a single matrix. forward: whether
    its shape is that of the forward matrix, (n_above, n_below), and not (n_below, n_above).
    """

    name: str
    item: int | None
    below: int
    above: int
    forward: bool

    def __str__(self) -> str:
        return self.name if self.item is None else f"{self.name} to layer {self.below}"


def feedback_links(params: Parameters) -> list[Link]:
    """The layers that F and the matrices of B join, inferred from their shapes.

    F (n_j, n_L) joins the output and layer j, or the input if that has as many units. A list B
    joins each layer either with the layer above or with the output. Raises BadOption where there
    are no such matrices, and where layers of equal size make B ambiguous: use `rule_links` then.

    >>> from rate_models.textbook import initial_parameters
    >>> params = initial_parameters(NetworkSpec((6, 5, 4, 3)), "feedback_alignment", seed=0)
    >>> [str(link) for link in feedback_links(params)]
    ['B to layer 1', 'B to layer 2']
    """
    sizes = [params["W"][0].shape[1], *(w.shape[0] for w in params["W"])]
    last = len(params["W"])
    links: list[Link] = []
    for name in ("F", "B"):
        several = params.get(name, [])
        alone = not isinstance(several, list)
        given = [np.shape(several)] if alone else [np.shape(b) for b in several]
        if not given:
            continue
        first = last - len(given)
        joined = [[(j, last)] for j in range(last)] if alone else [
            [(j, j + 1) for j in range(first, last)], [(j, last) for j in range(first, last)]
        ]  # fmt: skip
        possible = {  # a dict keeps the order: the input comes first
            tuple(Link(name, None if alone else i, *e, forward) for i, e in enumerate(ends)): None
            for ends in joined
            for forward in (False, True)
            if given == [(sizes[j], sizes[k])[:: -1 if forward else 1] for j, k in ends]
        }
        if not possible or (len(possible) > 1 and not alone):
            raise BadOption(
                f"feedback {name}",
                got=f"shapes {given} beside layers of {sizes} units",
                expected="shapes that determine which layers it joins",
                remedy="pass links=rule_links(rule, layers)" if possible else "",
            )
        links += next(iter(possible))
    return links or _no_feedback()


def _no_feedback() -> NoReturn:
    expected = "parameters of a rule with feedback matrices"
    raise BadOption("feedback", got="no F and no B", expected=expected)


def rule_links(rule: str | Description, layers: int, **hyperparameters: Any) -> list[Link]:
    """The links that a rule declares, in a network of ``layers`` layers.

    Raises UnknownName and BadOption for invalid hyperparameters, and BadOption for a rule without
    feedback matrices.

    >>> [(link.below, link.above) for link in rule_links("direct_feedback_alignment", 3)]
    [(1, 3), (2, 3)]
    """
    definition = rules.get(rule)
    hyper = checked(definition.hyperparameters(), **hyperparameters)
    spec = NetworkSpec((1,) * (layers + 1), loss=definition.loss)
    links: list[Link] = []
    for own in definition.own:
        for i, (one, other) in enumerate(own.axes(spec, hyper) if own.feedback else ()):
            item, ends = None if own.each is None else i, (min(one, other), max(one, other))
            links.append(Link(own.name, item, *ends, forward=one > other))
    return links or _no_feedback()


def feedback_pairs(
    params: Parameters, links: Sequence[Link] | None = None
) -> dict[str, tuple[Array, Array]]:
    """{link: (feedback, (W_k ... W_{j+1})ᵀ)}, both (n_j, n_k), for each link from k down to j.

    links: None: those of `feedback_links`. For adjacent layers the second matrix is W_kᵀ.
    """
    pairs = {}
    for link in feedback_links(params) if links is None else links:
        own = params[link.name] if link.item is None else params[link.name][link.item]
        product = np.asarray(params["W"][link.below], float)
        for w in params["W"][link.below + 1 : link.above]:
            product = np.asarray(w, float) @ product
        own = np.asarray(own, float)
        pairs[str(link)] = own.T if link.forward else own, product.T
    return pairs


def alignment_angle(params: Parameters, links: Sequence[Link] | None = None) -> dict[str, float]:
    """The angle between feedback and the corresponding forward weights, in degrees.

    F (n_0, n_L) against (W_L ... W_1)ᵀ; B (n_l, n_{l+1}) against W_{l+1}ᵀ; B (n_l, n_L) against
    (W_L ... W_{l+1})ᵀ. About 90 before training; with PEPITA's s = +1 it grows, about 120 on MNIST.
    Source: Dellaferrera & Kreiman 2022, figure 3; Lillicrap et al. 2016.

    >>> W = [np.array([[1.0, 0.0]]), np.array([[2.0]])]
    >>> alignment_angle({"W": W, "F": np.array([[0.0], [3.0]])})
    {'F': 90.0}
    >>> alignment_angle({"W": W, "B": [np.array([[-1.0]])]}, [Link("B", 0, 1, 2, False)])
    {'B to layer 1': 180.0}
    """
    return {name: angle(*pair) for name, pair in feedback_pairs(params, links).items()}


def signal_angle(B: ArrayLike, W: ArrayLike, errors: ArrayLike) -> float:
    """Mean over a batch of the angle between B e and Wᵀ e, in degrees, from 0 to 180.

    B (n_l, n_k) feedback, W (n_k, n_l) forward, errors (batch, n_k). Samples whose error is zero
    are left out. Source: Lansdell, Prakash & Kording 2020, figure 2.

    >>> signal_angle(np.eye(2), [[0.0, 1.0], [1.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]])
    45.0
    """
    e = np.asarray(errors, float)
    pairs = zip(e @ np.asarray(B, float).T, e @ np.asarray(W, float), strict=True)
    angles = np.array([angle(*pair) for pair in pairs])
    known = angles[~np.isnan(angles)]
    return float(known.mean()) if known.size else float("nan")


def updates(
    spec: NetworkSpec,
    rule: str | Description,
    params: Parameters,
    x: Any,
    y: Any,
    draws: Draws = NO_DRAWS,
    **hyperparameters: Any,
) -> list[Array | None]:
    """ΔW_1..ΔW_L (n_l, n_{l-1}) of a batch by the textbook form of a rule; None: frozen.

    x (batch, n_0), y (batch, n_L) target vectors. ``params`` is not changed. For a rule with two
    optimiser steps per batch this is the limit of a small learning rate, where its updates add up.

    >>> spec = NetworkSpec((4, 3, 2))
    >>> from rate_models.textbook import initial_parameters
    >>> params = initial_parameters(spec, "backprop", seed=0)
    >>> [delta.shape for delta in updates(spec, "backprop", params, np.eye(4), np.ones((4, 2)))]
    [(3, 4), (2, 3)]
    """
    definition = rules.get(rule)
    hyper = checked(definition.hyperparameters(), **hyperparameters)
    copy = mapped(params, lambda a: np.array(a, float))
    total: list[Array | None] = [None] * spec.layers
    x, y = np.asarray(x, float), np.asarray(y, float)
    for step in definition.batch(spec, copy, hyper, x, y, draws):
        for i, delta in enumerate(gradients(spec, step, copy, len(x))["W"]):
            before = total[i]
            total[i] = before if delta is None else delta if before is None else before + delta
    return total


def true_gradient(
    spec: NetworkSpec, params: Parameters, x: Any, y: Any, draws: Draws = NO_DRAWS
) -> list[Array | None]:
    """∂L/∂W_1..∂L/∂W_L of a batch, with L the mean loss: the reference for `updates`."""
    return updates(spec, "backprop", params, x, y, Draws(draws.masks))


def teaching_angles(
    deltas: Sequence[ArrayLike | None], gradients: Sequence[ArrayLike | None]
) -> list[float]:
    """The angle of each layer's update ΔW_l, or teaching signal, to the true gradient, in degrees.

    deltas, gradients: one array per layer, of the same shapes. Below 90 a small step lowers the
    loss. nan for a layer without an update. Source: Lillicrap et al. 2016, figure 2.

    >>> teaching_angles([[1.0, 0.0], None], [[1.0, 1.0], [1.0]])
    [45.0, nan]
    """
    missing = float("nan")
    return [missing if a is None or b is None else angle(a, b)
            for a, b in zip(deltas, gradients, strict=True)]  # fmt: skip


def sign_congruence(W: ArrayLike, B: ArrayLike) -> float:
    """The share of entries of W and B, of the same shape, that have the same sign, 0 to 1.

    For feedback, W are the corresponding forward weights: see `feedback_pairs`.
    Source: Lansdell, Prakash & Kording 2020, figure 2.

    >>> sign_congruence([[1.0, -2.0], [3.0, 4.0]], [[5.0, -1.0], [-3.0, 1.0]])
    0.75
    """
    W, B = _pair(W, B)
    return float(np.mean(np.sign(W) == np.sign(B)))


def relative_error(W: ArrayLike, B: ArrayLike) -> float:
    """‖W - B‖_F / ‖W‖_F, W and B of the same shape; nan where W = 0.

    Source: Lansdell, Prakash & Kording 2020, figures 2 and 4.

    >>> relative_error([[3.0, 4.0]], [[3.0, 3.0]])
    0.2
    """
    W, B = _pair(W, B)
    return _norm(W - B) / _norm(W) if W.any() else float("nan")


def weight_norms(params: Parameters) -> list[float]:
    """‖W_1‖_F .. ‖W_L‖_F. Source: Dellaferrera & Kreiman 2022, figure 3c.

    >>> weight_norms({"W": [np.array([[3.0, 4.0]]), np.array([[2.0]])]})
    [5.0, 2.0]
    """
    return [_norm(w) for w in params["W"]]


def _norm(a: ArrayLike) -> float:
    """The Frobenius norm, summed in row-major order whatever the threads and memory layout."""
    return float(np.sqrt(np.sum(np.square(np.ravel(np.asarray(a, float))))))


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape:
        raise BadOption("arrays to compare", got=f"shapes {a.shape} and {b.shape}",
                        expected="one shape", remedy="transpose one of them?")  # fmt: skip
    return a, b
