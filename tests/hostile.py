"""Values that nobody should hand in, and a guard: whatever comes of them is ours to explain."""

from __future__ import annotations

import contextlib
import copy
import datetime
import itertools
import math
import resource
import signal
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rate_models.errors import UserError

HANG = 30  # seconds that a case may take
MEMORY = 6 << 30  # bytes of address space beyond what the process has, while cases run


class Liar:
    """Raises whatever it is asked."""

    def _no(self, *_: object) -> Any:
        raise RuntimeError("no\nnumber")

    __len__ = __iter__ = __array__ = __float__ = __int__ = __index__ = __getitem__ = _no
    __bool__ = __hash__ = __eq__ = _no  # type: ignore[assignment]


class Tensorlike:
    """Looks like a tensor of torch, and has nothing in it."""

    shape, dtype, ndim = (2, 3), "float32", 2

    def detach(self) -> Tensorlike:
        return self

    def cpu(self) -> Tensorlike:
        return self

    def __len__(self) -> int:
        return 2


class Framelike:
    """Looks like a data frame, with columns that it does not have."""

    columns, index = ("a", "b"), (0, 1)

    def to_numpy(self) -> np.ndarray:
        return np.zeros((0, 5))

    def __len__(self) -> int:
        return 3


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def boxed(value: object) -> np.ndarray:
    array = np.empty(1, object)
    array[0] = value
    return array


VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 2**31, 2**53, 2**63, 2**64, 10**30,
    -(10**30), 10**400,
    0.0, -0.0, 0.5, 1.0, 1.5, -2.5, 1e-320, 1e18, 1e100, 1e308, math.nan, math.inf, -math.inf,
    1j, "", " ", "0", "-1", "1e999", "nan", "relu", "mse", "\0", "\n", "\ud800", "\udcff",
    "ü" * 3, "a" * 5000, "[" * 3000, "none", "running", b"", b"\xff\0", (), [], {}, set(),
    frozenset({1, 2}), {3, 4, 2}, {"a": 1}, {"a": math.nan, 1: None}, [None], [math.nan], [[]],
    [[1], [2, 3]], [1, "a"], [True, 2.5, None], ["relu", "relu"], [1e308, 1e308, 1e308],
    (3, 4, 2), [3, 10**9, 2], [3, 10**6, 10**6, 2], [3, 0, 2], [3, -4, 2], [3.0, 4, 2], (3, 2),
    [1] * 2000, Ellipsis, NotImplemented, int, len, slice(1, 2), range(3), range(10**15),
    np.float32(1), np.float64("nan"), np.int8(-1), np.uint64(2**64 - 1), np.bool_(True),
    np.str_("tanh"), np.bytes_(b"a"), np.datetime64("2020-01-01"), np.timedelta64(1, "D"),
    np.array(3), np.array(None), np.array([]), np.array([1, 2]), np.zeros((2, 3)),
    np.zeros((0, 3)), np.zeros((3, 0)), np.zeros((1, 1, 1)), np.full(3, np.nan),
    np.array([1, "a", None], object), np.array([[1], [2, 3]], object), np.array(["a", "b"]),
    np.array([1j, 2]), np.zeros(2, [("a", float)]), np.ma.masked, np.float16(np.inf),
    np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]), np.array([b"1", b"2"]), np.longdouble(1),
    Decimal("sNaN"), Decimal("1e999"), Fraction(1, 3), Path("x"), datetime.date(2020, 1, 1),
)  # fmt: skip

# Made anew for each case: some can be used once only.
MADE: tuple[Callable[[], Any], ...] = (
    object, Liar, Tensorlike, Framelike, circle, lambda: nested(50), lambda: nested(5000),
    lambda: iter([3, 4, 2]), itertools.count, lambda: itertools.repeat(3),
    lambda: (x for x in "ab"),
    lambda: bytearray(b"ab"), lambda: memoryview(b"abc"), lambda: OrderedDict(a=1, b=2, c=3),
    lambda: boxed(Liar()), lambda: [Liar()], lambda: {"a": Liar()},
    lambda: {Liar: 1}, lambda: np.broadcast_to(1.0, 10**9), lambda: 10**5000,
)  # fmt: skip

MAKERS = (*(partial(copy.copy, value) for value in VALUES), *MADE)

hostile = st.sampled_from(MAKERS)


class Hang(BaseException):
    """A case that did not end in time."""


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang(f"still running after {HANG} s")


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """The case ends in time, without eating the memory; what it warns of is nobody's concern."""
    before = signal.signal(signal.SIGALRM, _hang)
    signal.alarm(HANG)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Hang as hang:
        raise AssertionError(str(hang)) from None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """A machine with little memory: what would fill it must be refused or be small."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refused(call: Callable[[], Any]) -> Any:
    """What the call returns; None where it raises an error of ours, of one readable line."""
    with guarded():
        try:
            return call()
        except UserError as error:
            text = str(error)
            assert text.isprintable() and text.strip() and len(text) < 4000, repr(text[:500])
            return None
