"""A source whose target is its own input: what an autoencoder learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rate_models.errors import BadOption
from streaming.sources import Chunk, Source


class InputTarget:
    """``source`` with y = x, scaled as the network sees it; a regression of n_0 numbers.

    scale: "none", or "range", which divides by ``source.maximum``. Raises BadOption for
    others: the target of a sample would depend on the samples before it.
    """

    classes: tuple[Any, ...] | None = None

    def __init__(self, source: Source, scale: str) -> None:
        if scale not in ("none", "range"):
            raise BadOption(
                "--target input", got=f"scale {scale}", expected="--scale none or --scale range"
            )
        self._source, self._factor = source, source.maximum if scale == "range" else 1.0
        self.name, self.scale, self.maximum = source.name, scale, source.maximum
        self.n_features = self.n_outputs = source.n_features
        self.length, self.image_shape = source.length, getattr(source, "image_shape", None)
        self.defaults: Mapping[str, Any] = source.defaults
        self.power = getattr(source, "power", None)

    @property
    def skipped(self) -> int:
        """Bad samples that the source has passed over."""
        return int(getattr(self._source, "skipped", 0))

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """As the source's, with x for y."""
        return ((X, X / self._factor) for X, _ in self._source.chunks(epoch, start, size))

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """The held-out samples with x for y; None where nothing is held out."""
        chunks = self._source.test(size)
        return None if chunks is None else ((X, X / self._factor) for X, _ in chunks)
