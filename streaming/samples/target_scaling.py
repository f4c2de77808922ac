"""Target scaling: from the units of a regression's targets to those of the network, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from rate_models.compiler.kernel import coerce, kernel
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from rate_models.support.arguments import check_choice
from streaming.samples.scaling import KINDS, Scaler, global_step, running_step

Array = NDArray[Any]


class Units(NamedTuple):
    """The map from outputs h of the network to predictions m + s h in the units of the targets.

    mean: m. spread: s. Both have one number per sample and output, or fewer that broadcast; m is
    NaN before the first target. Both are None if the targets are not scaled.
    """

    mean: Any
    spread: Any

    def predictions(self, outputs: Array) -> Array:
        """Outputs (N, n_L) in the units of the targets; scaled ones in float64."""
        if self.spread is None:
            return outputs
        return np.asarray(self.mean + self.spread * outputs.astype(np.float64))


class TargetScaler:
    """Scales targets Y (N, n_L) as `Scaler` does inputs. Its state is a part of the checkpoint.

    kind, maximum: as in `Scaler`. With "running" the network learns z = (y - m) / s, where m and s
    are the mean and standard deviation of all targets so far, including that of the sample.
    Predictions are m + s h with m and s from before the sample was learned, since a target is not
    known before it is predicted. If all targets so far are equal, s = 0 and the prediction is m;
    before the first target it is NaN.

    >>> scaler = TargetScaler("running", 1)
    >>> z, before = scaler.learn_transform(np.array([[10.0], [30.0], [20.0]]))
    >>> z.ravel().tolist(), before.predictions(np.zeros((3, 1))).ravel().tolist()
    ([0.0, 1.0, 0.0], [nan, 10.0, 20.0])
    """

    def __init__(self, kind: str, n_outputs: int, maximum: float = 1.0) -> None:
        self._scaler = Scaler(kind, n_outputs, maximum)
        self.kind = kind
        # numbers of a sample that share a mean
        self._shared = n_outputs if kind == "global" else 1

    def learn_transform(self, Y: ArrayLike, dtype: DTypeLike = np.float64) -> tuple[Array, Units]:
        """Y as the network learns it, and the units of the prediction before each sample."""
        if self.kind not in ("running", "global"):
            return self.transform(Y, dtype), self.units()
        Y = coerce("targets", Y, "float64", (None, self._scaler.n_features))
        state = self._scaler.moments
        z, (mean, spread) = np.empty_like(Y), np.empty((2, len(Y), len(state[1])))
        started = state[0][0] > 0
        _learned(Y, z, mean, spread, self.kind == "running", self._shared, *state)
        if not started:
            mean[:1] = np.nan
        return z.astype(dtype, copy=False), Units(mean, spread)

    def transform(self, Y: ArrayLike, dtype: DTypeLike = np.float64) -> Array:
        """Y in the current units of the network, which do not change."""
        return self._scaler.transform(np.asarray(Y, np.float64)).astype(dtype, copy=False)

    def units(self) -> Units:
        """The units of a prediction now."""
        if self.kind == "none":
            return Units(None, None)
        if self.kind == "range":
            return Units(0.0, self._scaler.maximum)
        count, mean, m2 = self._scaler.moments
        spread = np.sqrt(m2 / max(count[0] * self._shared, 1))
        return Units(mean.copy() if count[0] else mean + np.nan, spread)

    def state(self) -> dict[str, Array]:
        """As `Scaler.state`."""
        return self._scaler.state()

    def load_state(self, arrays: Mapping[str, Array]) -> None:
        """As `Scaler.load_state`."""
        self._scaler.load_state(arrays)


def settled(
    spec: NetworkSpec, task: str | None, classes: Sequence[Any] | None, target_scale: str | None
) -> tuple[bool, str]:
    """Whether a learner's task is a regression, and how its targets are scaled.

    task: regression, classification or None.

    Raises BadOption if task, loss, classes, outputs and target_scale contradict each other.
    """
    check_choice("target_scale", target_scale, (None, *KINDS))
    if task == "regression" and (spec.loss != "mse" or classes is not None):
        what = f"loss {spec.loss}" if spec.loss != "mse" else "classes"
        raise BadOption("task", got=f"regression with {what}", expected="loss mse and no classes")
    if task == "regression" or (task is None and spec.loss == "mse" and classes is None):
        return True, target_scale or ("running" if task else "none")
    if target_scale not in (None, "none"):
        expected = "none, as classes are not scaled"
        raise BadOption("target_scale", got=repr(target_scale), expected=expected)
    if spec.sizes[-1] == 1 and (classes is None or len(classes) > 1):
        two = ", ".join(map(str, (*spec.sizes[:-1], 2) if len(spec.sizes) <= 8 else ("...", 2)))
        raise BadOption(
            "sizes", got=f"1 output unit, with loss {spec.loss}",
            expected=f"an output unit for each class, at least 2: sizes=({two}), classes=(0, 1)",
            remedy="to predict a number, use task='regression'",
        )  # fmt: skip
    return False, "none"


@kernel
def _learned(
    Y: Array, z: Array, means: Array, spreads: Array, each: bool, shared: int,
    count: Array, mean: Array, m2: Array,
) -> None:  # fmt: skip
    for t in range(Y.shape[0]):
        for i in range(mean.size):
            means[t, i] = mean[i]
            spreads[t, i] = np.sqrt(m2[i] / max(count[0] * shared, 1))
        if each:
            running_step(Y[t], z[t], True, count, mean, m2)
        else:
            global_step(Y[t], z[t], True, count, mean, m2)
