"""A source over arrays in memory, for every data set that fits in memory."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rate_models.errors import BadOption, BadSample
from streaming.samples.source import Array, Chunk, Source
from streaming.samples.split import hold_out
from streaming.samples.task import TASKS, kind_of, task_of

ROWS = 4096  # rows copied at a time if the array is not contiguous
FIRST = 256  # samples from which the mean square of a feature is computed
# Of images. If the learning rate falls near the end, the result depends less on the last samples:
# MNIST after one pass, 784-256-10, five seeds: 0.952 to 0.954, without the decay 0.921 to 0.949.
IMAGE_DEFAULTS: Mapping[str, Any] = {"decay_after": (5 / 6,)}


class ArraySource(Source):
    """Streams X (N, n_features), y (N,) in a random order, drawn again for each epoch.

    Without X_test and y_test, a share ``held_out`` of each class is held out, the same samples for
    every ``seed``. task: "regression" for y as numbers, "classification" for y as ``classes``
    (default: the sorted labels in y), None to infer it from y (see `streaming.samples.task`).
    X keeps its type, e.g. bytes. image_shape, e.g. (28, 28): the shape of a sample in pictures.
    class_names: names of the classes, for labels that are numbers.

    Raises BadOption for arrays that do not fit together, BadSample for a label not in
    ``classes``.

    >>> X = np.arange(20.0).reshape(10, 2)
    >>> source = ArraySource(X, ["a", "b"] * 5)
    >>> source.classes, source.length, len(source.test_arrays()[1])
    (('a', 'b'), 8, 2)
    """

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_test: ArrayLike | None = None,
        y_test: ArrayLike | None = None,
        *,
        name: str = "arrays",
        classes: Sequence[Any] | None = None,
        seed: int = 0,
        scale: str = "running",
        maximum: float = 1.0,
        held_out: float = 0.2,
        image_shape: tuple[int, ...] | None = None,
        class_names: Sequence[str] | None = None,
        defaults: Mapping[str, Any] | None = None,
        task: str | None = None,
    ) -> None:
        if task not in (None, *TASKS):
            raise BadOption("task", got=repr(task), expected=" or ".join(TASKS))
        if (X_test is None) != (y_test is None):
            raise BadOption(name, got="X_test or y_test alone", expected="both or neither")
        if not 0 <= held_out < 1:
            raise BadOption("held_out", got=held_out, expected="a share from 0 to below 1")
        X, y = _checked(name, X, y)
        if not len(y):
            raise BadOption(name, got="an empty stream", expected="at least one sample")
        self.name = name
        self.n_features = X.shape[1]
        if classes is None:
            y, self.classes, self.guess = labelled(y, name, task)
        elif task == "regression":
            raise BadOption(name, got="task regression and classes", expected="either of them")
        else:
            self.classes = tuple(classes)
        self.scale = scale
        self.maximum = maximum
        self.image_shape = image_shape
        self.class_names = None if class_names is None else tuple(class_names)
        self.defaults = defaults or {}
        self._seed = seed
        if X_test is None or y_test is None:
            test = hold_out(y, held_out, stratify=self.classes is not None)
            self._train, self._test = (X[~test], y[~test]), (X[test], y[test])
        else:
            self._train, self._test = (X, y), _checked(f"{name} test", X_test, y_test)
        if self._test[0].shape[1] != self.n_features:
            raise BadOption(
                f"{name} test",
                got=f"{self._test[0].shape[1]} features",
                expected=f"{self.n_features}, as in the training samples",
            )
        if self.class_names is not None and len(self.class_names) != len(self.classes or ()):
            expected = f"{len(self.classes or ())}, one per class"
            raise BadOption("class_names", got=f"{len(self.class_names)}", expected=expected)
        self.length = len(self._train[1])
        for _, labels in (self._train, self._test):
            _check_labels(name, labels, self.classes)

    @property
    def power(self) -> float:
        """The mean square of a raw feature over the first training samples, in the order of the
        file, so that it is the same for every seed."""
        rows = self._train[0][:FIRST].astype(np.float64)
        good = rows[(np.abs(rows) < 1e100).all(axis=1)]
        return float(np.mean(good * good)) if len(good) else 1.0

    def train_arrays(self) -> Chunk:
        """All training samples X (N, n_features), y (N,), in the order of the file."""
        return self._train

    def test_arrays(self) -> Chunk:
        """All held-out samples; of length 0 if nothing is held out."""
        return self._test

    def content(self) -> str:
        """A hash of all samples and labels, which distinguishes data sets of the same name."""
        digest = hashlib.sha256()
        for part in (*self._train, *self._test):
            text = f"{part.shape} {part.dtype} {_crc32(part):08x}\n"
            digest.update(text.encode())
        return digest.hexdigest()[:16]

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """See `Source.chunks`."""
        X, y = self._train
        order = np.random.default_rng([self._seed, epoch]).permutation(len(y))
        for at in range(start, len(y), size):
            pick = order[at : at + size]
            yield X[pick], y[pick]

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """See `Source.test`."""
        X, y = self._test
        if not len(y):
            return None
        return ((X[at : at + size], y[at : at + size]) for at in range(0, len(y), size))


def _crc32(array: Array) -> int:
    """The CRC of all bytes (of the text of objects), four times as fast as a cryptographic hash."""
    crc = 0
    for start in range(0, len(array), ROWS):
        rows = array[start : start + ROWS]
        raw = repr(rows.tolist()).encode() if rows.dtype.hasobject else rows.tobytes()
        crc = zlib.crc32(raw, crc)
    return crc


def labelled(
    y: Array, name: str, task: str | None = None
) -> tuple[Array, tuple[Any, ...] | None, str]:
    """y in the type of its task, the classes (sorted; None for a regression), and a line with the
    inferred task.

    >>> labelled(np.array([3, 1, 1]), "arrays")[1], labelled(np.array([0.5, 1.0]), "arrays")[1]
    ((1, 3), None)
    """
    kind, distinct = kind_of(y), np.unique(y)
    chosen, guess = task_of(f"y of {name}", kind, len(distinct), len(y), task, None)
    if chosen == "regression":
        return y.astype(np.float64), None, guess
    if kind is float:
        raise BadOption(
            name, got="task classification, but y has numbers with decimals",
            expected="whole numbers or texts as labels", remedy="make them texts: y.astype(str)",
        )  # fmt: skip
    if kind is int:
        distinct = distinct.astype(np.int64)
    return y, tuple(distinct.tolist()), guess


def _checked(name: str, X: ArrayLike, y: ArrayLike) -> Chunk:
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or X.dtype.kind not in "buif" or X.shape[1] == 0:
        raise BadOption(
            name, got=f"X of shape {X.shape}, {X.dtype}", expected="numbers (samples, features)"
        )
    if y.shape != X.shape[:1]:
        raise BadOption(name, got=f"y of shape {y.shape}", expected=f"({len(X)},), one per sample")
    return X, y


def _check_labels(name: str, y: Array, classes: tuple[Any, ...] | None) -> None:
    if classes is not None and (unknown := set(y.tolist()).difference(classes)):
        some = ", ".join(map(repr, classes[:20])) + (", ..." if len(classes) > 20 else "")
        raise BadSample(name, got=f"label {min(unknown, key=str)!r}", expected=f"one of {some}")
