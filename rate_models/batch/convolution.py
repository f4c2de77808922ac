"""Networks whose first layers are convolutions with max-pooling, for `BatchNetwork`.

A convolution is a weight matrix with many zeros and few numbers that many entries share. Rules do
not depend on that: they call the methods of `NetworkSpec` for currents, feedback and post ⊗ pre,
which are overridden here. Arrays between layers are flat, (batch, channels · rows · columns).

    a_l[o, r] = Σ_{c, d} K_l[o, c, d] x_l[c, r + d] + b_l[o],      u_l = s_l(a_l)
    ΔK_l[o, c, d] = Σ_r post[o, r] x_l[c, r + d]           for "mean" divided by the number of r

x_l the input of layer l, u_l its maps, o filter, c channel, r position in the map, d position in
the filter. Pooling is between u_l and x_{l+1}. ``units`` decides whether the activity h_l of a
layer, which rules compare and perturb and to which they send feedback, is before or after pooling:

    maps      h_l = u_l,            x_{l+1} = pool(h_l)
    pooled    h_l = m_l ∘ pool(u_l),      x_{l+1} = h_l

Errors that come down from x_{l+1} go to the largest entry of each window. Feedback to h_l = u_l
goes to every entry. For rules whose errors come down layer by layer the two options are the same.

Source: Dellaferrera & Kreiman, ICML 2022, section 3.3 (maps, mean); their baselines and Frenkel et
al. 2021 send feedback to maps; Lansdell, Prakash & Kording, ICLR 2020, appendix C.4 (pooled).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product
from math import inf, prod
from typing import Any, Literal, NamedTuple, Self, get_args, get_type_hints

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from rate_models.errors import BadOption
from rate_models.network import NetworkSpec, Parameters

Image = tuple[int, int, int]  # channels, rows, columns


class Convolution(NamedTuple):
    """A convolutional layer; its filters move by one pixel.

    filters: number of filters. kernel: side of a filter. padding: pixels of zeros around the input.
    pool: side of the windows of max-pooling, 1 for no pooling. step: distance between windows, 0:
    their side. Windows at the edge may be incomplete.
    """

    filters: int
    kernel: int
    padding: int = 0
    pool: int = 1
    step: int = 0


class Stack(NamedTuple):
    """The shapes of a convolution's input, of its maps, and of the maps after pooling."""

    entry: Image
    maps: Image
    pooled: Image


def stack(entry: Image, layer: Convolution) -> Stack:
    """The shapes of one layer for an input ``entry``. Raises BadOption where they do not fit.

    >>> stack((1, 28, 28), Convolution(32, 5, pool=2)).pooled
    (32, 12, 12)
    """
    whole = all(isinstance(number, int | np.integer) for number in layer)
    if not isinstance(entry, Sequence) or len(entry) != 3 or not whole:
        expected = "channels, rows and columns, and whole numbers of the layer"
        raise BadOption("convolution", got=f"image {entry!r}, {layer}", expected=expected)
    filters, kernel, padding, pool, step = layer
    step = step or pool
    sides = [side + 2 * padding - kernel + 1 for side in entry[1:]]
    if min(filters, kernel) < 1 or padding < 0 or not 1 <= step <= pool <= min(sides):
        expected = f"filters and windows that fit images {entry}, steps within a window"
        raise BadOption("convolution", got=layer, expected=expected)
    rows, columns = (-(-(side - pool) // step) + 1 for side in sides)
    return Stack(entry, (filters, sides[0], sides[1]), (filters, rows, columns))


@dataclass(frozen=True)
class ConvolutionalSpec(NetworkSpec):
    """A feed-forward network whose first layers are convolutions; create one with `of`.

    sizes, activation, loss, bias, output: as in NetworkSpec; a convolution has a bias per filter.
    image: channels, rows, columns of the input; the rows of x are flattened images.
    convolutions: the first layers. conv_norm: whether ΔK is the sum over positions, which is the
    gradient under backpropagation, or the mean, as in PEPITA's paper. units: see the module.

    W_l of a convolution is K_l (filters, channels, kernel, kernel). Dropout is for dense layers.

    Raises BadOption or UnknownName for a field that is not allowed.
    """

    image: Image = (1, 1, 1)
    convolutions: tuple[Convolution, ...] = ()
    conv_norm: Literal["sum", "mean"] = "sum"
    units: Literal["maps", "pooled"] = "maps"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("conv_norm", "units"):
            choices = get_args(get_type_hints(type(self))[name])
            if getattr(self, name) not in choices:
                expected = " or ".join(choices)
                raise BadOption(name, got=repr(getattr(self, name)), expected=expected)
        sizes = [prod(self.image), *(prod(self._units(s)) for s in self.stacks)]
        if list(self.sizes[: len(sizes)]) != sizes or self.layers < len(sizes):
            raise BadOption("sizes", got=self.sizes, expected=f"{sizes} and dense layers above",
                            remedy="ConvolutionalSpec.of works them out")  # fmt: skip

    @classmethod
    def of(
        cls,
        image: Image,
        layers: Sequence[Convolution | int],
        activation: str | tuple[str, ...] = "relu",
        loss: str = "cross_entropy",
        bias: bool = False,
        output: str | None = None,
        conv_norm: Literal["sum", "mean"] = "sum",
        units: Literal["maps", "pooled"] = "maps",
    ) -> Self:
        """The network with these layers: convolutions, then the numbers of units of dense layers.

        >>> ConvolutionalSpec.of((1, 28, 28), (Convolution(32, 5, pool=2), 10)).sizes
        (784, 18432, 10)
        """
        convolutions = tuple(layer for layer in layers if isinstance(layer, Convolution))
        dense = [layer for layer in layers if not isinstance(layer, Convolution)]
        if [*convolutions, *dense] != list(layers):
            raise BadOption("layers", got=layers, expected="convolutions first, dense layers after")
        stacks = _stacks(image, convolutions)
        sizes = [prod(s.maps if units == "maps" else s.pooled) for s in stacks]
        return cls((prod(image), *sizes, *dense), activation, loss, bias, output,
                   image, convolutions, conv_norm, units)  # fmt: skip

    @cached_property
    def stacks(self) -> tuple[Stack, ...]:
        """The shapes of every convolution."""
        return _stacks(self.image, self.convolutions)

    @property
    def convolutional(self) -> bool:
        """Whether a layer is a convolution."""
        return bool(self.convolutions)

    @property
    def widths(self) -> tuple[int, ...]:
        """The size of each a_l, l = 1..L."""
        maps = [prod(s.maps) for s in self.stacks]
        return (*maps, *self.sizes[len(maps) + 1 :])

    @property
    def shapes(self) -> Sequence[tuple[int, ...]]:
        """The shape of each W_l; for the first dense layer (units, size after pooling)."""
        filters = [
            (layer.filters, s.entry[0], layer.kernel, layer.kernel)
            for layer, s in zip(self.convolutions, self.stacks, strict=True)
        ]
        dense = list(super().shapes[len(filters) :])
        if filters:
            dense[0] = (dense[0][0], prod(self.stacks[-1].pooled))
        return [*filters, *dense]

    def drops(self, layer: int) -> bool:
        """Whether dropout is applied to a hidden layer."""
        return layer > len(self.convolutions)

    def current(self, params: Parameters, layer: int, below: Any) -> Any:
        """a_l (batch, size of a_l), from h_{l-1} (batch, n_{l-1})."""
        entry = self._entry(layer, below)
        weights, bias = params["W"][layer - 1], params["b"][layer - 1] if params["b"] else None
        if layer > len(self.convolutions):
            return functional.linear(entry, weights, bias)
        padding = self.convolutions[layer - 1].padding
        return functional.conv2d(entry, weights, bias, padding=padding).flatten(1)

    def activity(self, layer: int, a: Any, mask: Any = None) -> Any:
        """h_l (batch, n_l): maps, or pooled maps."""
        u = super().activity(layer, a)
        if self.units == "pooled" and layer <= len(self.convolutions):
            u = self._pool(layer, u)
        return u if mask is None else u * mask

    def back(self, layer: int, weights: Any, delta: Any, below: Any) -> Any:
        """∂/∂h_{l-1} of δ_l · W_l x_l, (batch, n_{l-1}), evaluated at h_{l-1}, which is below."""
        if layer > len(self.convolutions):
            down = delta @ weights
        else:
            maps = delta.unflatten(1, self.stacks[layer - 1].maps)
            padding = self.convolutions[layer - 1].padding
            down = functional.conv_transpose2d(maps, weights, padding=padding).flatten(1)
        return self._unpool(layer - 1, below, down) if self._pools_entry(layer) else down

    def gate(self, layer: int, a: Any, back: Any, mask: Any = None) -> Any:
        """δ_l = s_l'(a_l) ∘ λ_l at the maps, from λ_l at h_l."""
        if self.units == "pooled" and layer <= len(self.convolutions):
            back = back if mask is None else back * mask
            return super().gate(layer, a, self._unpool(layer, super().activity(layer, a), back))
        return super().gate(layer, a, back, mask)

    def outer(self, layer: int, post: Any, pre: Any, factor: float = 1.0) -> Any:
        """factor · Σ post ⊗ pre over the batch, and for a filter over its positions."""
        entry = self._entry(layer, pre)
        if layer > len(self.convolutions):
            return super().outer(layer, post, entry, factor)
        maps = post.unflatten(1, self.stacks[layer - 1].maps)
        padding = self.convolutions[layer - 1].padding
        shape = self.shapes[layer - 1]
        total: Tensor = conv2d_weight(entry, shape, maps, padding=padding)  # type: ignore[no-untyped-call]
        return factor / self._divisor(layer) * total

    def total(self, layer: int, post: Any) -> Any:
        """Σ post over the batch, and for a filter over its positions."""
        if layer > len(self.convolutions):
            return post.sum(0)
        return post.unflatten(1, self.stacks[layer - 1].maps).sum((0, 2, 3)) / self._divisor(layer)

    def _divisor(self, layer: int) -> int:
        """The divisor of sums over the positions of a map."""
        return prod(self.stacks[layer - 1].maps[1:]) if self.conv_norm == "mean" else 1

    def _units(self, images: Stack) -> Image:
        return images.maps if self.units == "maps" else images.pooled

    def _pools_entry(self, layer: int) -> bool:
        """Whether layer l pools its input."""
        return self.units == "maps" and 2 <= layer <= len(self.convolutions) + 1

    def _entry(self, layer: int, below: Any) -> Any:
        """x_l from h_{l-1}: images of a convolution, rows of a dense layer."""
        x = self._pool(layer - 1, below) if self._pools_entry(layer) else below
        return x.unflatten(1, self.stacks[layer - 1].entry) if layer <= len(self.stacks) else x

    def _windows(self, layer: int, maps: Any) -> tuple[Any, list[tuple[Any, ...]]]:
        """The maps, padded with -∞, and for each position in a window the index of its entries.

        Many times faster on a CPU than torch's own pooling, and `torch.func.vmap` supports it.
        """
        _, sides, pooled = self.stacks[layer - 1]
        _, _, _, pool, step = self.convolutions[layer - 1]
        step = step or pool
        below, right = (step * (n - 1) for n in pooled[1:])  # where the last windows begin
        over = right + pool - sides[2], below + pool - sides[1]
        images = maps.unflatten(1, sides)
        if any(over):
            images = functional.pad(images, (0, over[0], 0, over[1]), value=-inf)
        return images, [
            (..., slice(i, i + below + 1, step), slice(j, j + right + 1, step))
            for i, j in product(range(pool), repeat=2)
        ]

    def _pool(self, layer: int, maps: Any) -> Any:
        """The largest number of each window (batch, n pooled)."""
        images, offsets = self._windows(layer, maps)
        return reduce(torch.maximum, [images[at] for at in offsets]).flatten(1)

    def _unpool(self, layer: int, maps: Any, back: Any) -> Any:
        """``back`` (batch, n pooled), each number at the position of its window's largest entry."""
        images, offsets = self._windows(layer, maps)
        _, (_, rows, columns), pooled = self.stacks[layer - 1]
        largest = reduce(torch.maximum, [images[at] for at in offsets])
        back, out = back.unflatten(1, pooled), torch.zeros_like(images)
        missing = torch.ones_like(largest, dtype=torch.bool)
        for at in offsets:
            here = missing & (images[at] == largest)
            out[at] += back * here
            missing = missing & ~here  # the first of several equal ones
        return out[..., :rows, :columns].flatten(1)


def _stacks(image: Image, convolutions: Sequence[Convolution]) -> tuple[Stack, ...]:
    stacks: list[Stack] = []
    for layer in convolutions:
        stacks.append(stack(stacks[-1].pooled if stacks else image, layer))
    return tuple(stacks)
