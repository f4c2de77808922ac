"""A rule that has `batch` alone, one sample after another: slow, and a way to begin."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rate_models import rules
from rate_models.compiler.kernel import Array
from rate_models.model import losses
from rate_models.network import Parameters, one_hot
from rate_models.online.network import OnlineNetwork
from rate_models.support import bounds
from rate_models.textbook import Textbook, mapped


class TextbookNetwork(OnlineNetwork):
    """An `OnlineNetwork` that learns by the textbook form, in batches of one sample.

    It takes what `OnlineNetwork` takes; ``structured`` decides nothing. Its numbers are those of a
    kernel up to rounding. Warns that it is slow where the rule has no kernel.

    >>> from rate_models.network import NetworkSpec
    >>> net = TextbookNetwork(NetworkSpec((4, 8, 3)), "backprop", seed=0)
    >>> net.learn(np.eye(4), labels=[0, 1, 2, 0]).outputs.shape
    (4, 3)
    """

    def _check_kernel(self) -> None:
        if not self.definition.compiled:
            warnings.warn(
                f"rule {self.definition.name} has no kernel: it learns online by its textbook "
                "form, which is slow; teach and tasks would make a kernel",
                stacklevel=3,
            )

    def _build(self, params: Parameters) -> None:
        """A textbook that holds copies of ``params``; velocities at rest."""
        own = mapped(params, lambda a: np.array(a, self.dtype))
        self._book = Textbook(self.spec, self.definition, own, self.optimizer)
        self._pre_activations: list[Array] = []
        if self._moving:
            stepped = {"W", "b", *self.definition.named("stepped")}
            at_rest = mapped({k: v for k, v in own.items() if k in stepped}, np.zeros_like)
            self._book.sgd.velocity = {
                (name, i): array for name, value in at_rest.items()
                for i, array in enumerate(value if isinstance(value, list) else [value])
            }  # fmt: skip

        self._open()

    def _open(self) -> None:
        self._make_single()

    def _learn(
        self, X: Array, labels: Array, Y: Array, masks: Array, noise: Array, outcome: Any
    ) -> int:
        book, outputs = self._book, self.spec.sizes[-1]
        book.hyper, book.sgd.optimizer = self.hyper, self.optimizer
        widths = self.definition.noise.widths(self.spec, self.hyper)
        for t in range(len(X)):
            one = slice(t, t + 1)
            y = Y[one] if Y.shape[1] else one_hot(labels[one], outputs, self.dtype)
            with np.errstate(all="ignore"):
                a, h = rules.forward(self.definition, self.spec, book.params, self.hyper, X[one])
                self._pre_activations = [each[0] for each in a[1:]]
                outcome.outputs[t], outcome.predicted[t] = h[-1][0], h[-1][0].argmax()
                outcome.losses[t] = losses.loss_of(self.spec.loss, a[-1], h[-1], y)[0]
                if not np.isfinite(outcome.losses[t]):
                    return t
                book.samples_seen = self.samples_seen
                hidden = self.spec.sizes[1:-1]
                book.learn(X[one], y, _split(masks[one], hidden), _split(noise[one], widths))
            self._clock[0] += 1
        return len(X)

    def _activity(self) -> list[Array]:
        return self._pre_activations

    def _predict(self, X: Array, out: Array) -> None:
        out[:] = rules.forward(self.definition, self.spec, self._book.params, self.hyper, X)[1][-1]

    def _parameters(self) -> Parameters:
        return mapped(self._book.params, np.copy)

    def _arrays(self) -> dict[str, Array]:
        named = {"clock": self._clock}
        for name, value in self._book.params.items():
            several = value if isinstance(value, list) else [value]
            named |= {f"parameters.{name}.{i}": array for i, array in enumerate(several)}
        moving = self._book.sgd.velocity.items()
        return named | {f"velocities.{name}.{i}": array for (name, i), array in moving}

    def _bounds(self, arrays: dict[str, Array]) -> bounds.Bounds:
        counts = tuple(f"parameters.{name}." for name in self.definition.named("counts"))
        counted = [name for name in arrays if name == "clock" or name.startswith(counts)]
        return dict.fromkeys(counted, (0, bounds.MOST))


def _split(flat: Array, widths: Any) -> list[Array] | None:
    """The numbers of one sample (1, n), layer by layer; None where there are none."""
    return np.split(flat, np.cumsum(widths)[:-1], axis=1) if flat.shape[1] else None
