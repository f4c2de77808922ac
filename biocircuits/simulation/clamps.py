"""The values of clamped compartments: those given, and dropout masks and the noise of the rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from biocircuits.description.circuit import Circuit, Phase
from rate_models.compiler.kernel import Array
from rate_models.errors import BadOption
from rate_models.model.draws import numbers
from rate_models.network import NetworkSpec
from rate_models.rules import Description, masks_and_noise


def of_samples(
    spec: NetworkSpec,
    rule: Description,
    hyper: Any,
    seed: int,
    first: int,
    rows: slice,
    masks: Any,
    noise: Any,
) -> dict[str, Array]:
    """{"mask.0": m_1 (N, n_1), ..., "noise.0": ...} of N samples from number ``first`` on.

    masks, noise: values that the caller gives, (n,) for all samples or with a row for each, of
    which ``rows`` are taken; None: drawn from the seed.
    """
    n = rows.stop - rows.start

    def given(what: str, part: Any, width: int) -> Any:
        return part[rows] if np.ndim(part) == 2 else part

    def alike(part: Any) -> Array:
        return part if np.ndim(part) == 2 else np.broadcast_to(np.ravel(part), (n, np.size(part)))

    drawn = masks_and_noise(rule, spec, hyper, numbers(seed, first, n), masks, noise, given)
    ones = [np.ones(width) for width in spec.sizes[1:-1]]
    found = {f"mask.{i}": alike(m) for i, m in enumerate(drawn.masks or ones)}
    return found | {f"noise.{i}": alike(part) for i, part in enumerate(drawn.noise or ())}


def checked(given: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """The values of clamps as arrays; BadOption where one is not finite."""
    if not isinstance(given, Mapping):
        got, expected = f"a {type(given).__name__}", "{'x': numbers, ...} by the names of clamps"
        raise BadOption("present", got=got, expected=expected)
    arrays = {}
    for name, value in given.items():
        try:
            arrays[name] = np.asarray(value, float)
        except (TypeError, ValueError):
            raise BadOption(f"clamp {name}", got=repr(value), expected="numbers") from None
        if not np.isfinite(arrays[name]).all():
            raise BadOption(f"clamp {name}", got="a number that is not finite", expected="finite")
    return arrays


class Needed(NamedTuple):
    """A clamp in a phase: the subject of its errors, the name of its value, and its neurons."""

    where: str
    name: str
    size: int


def needed(circuit: Circuit, phase: Phase) -> list[Needed]:
    """The clamps in a phase whose values a sample gives."""
    return [
        Needed(f"clamp of {p.name}.{c.name}", c.clamp, p.size)
        for p in circuit.populations for c in p.compartments
        if isinstance(c.clamp, str) and (c.phases is None or phase.name in c.phases)
    ]  # fmt: skip


def set_values(
    v: Array,
    these: list[Needed],
    offsets: Mapping[tuple[str, int], int],
    given: Mapping[str, Array],
) -> None:
    """Write the values of clamps to a state v, or to the states (N, width) of N samples.

    offsets: `Layout.given`. given: numbers, vectors (n,), or a vector for each of the N samples.
    Raises BadOption where a value is absent or of no shape that fits.
    """
    for where, name, size in these:
        if name not in given:
            raise BadOption(where, got=sorted(given), expected=repr(name))
        shape = (*v.shape[:-1], size)
        if given[name].shape not in ((), (size,), shape):
            raise BadOption(where, got=f"shape {given[name].shape}", expected=f"shape {shape}")
        at = offsets[name, size]
        v[..., at : at + size] = given[name]
