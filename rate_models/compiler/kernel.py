"""The one njit decorator: compiler flags, cache policy, and what a kernel may be handed.

Numba's own cache returns stale machine code when a function that a kernel calls, in another
file, was edited. So the cache folder is named after a hash of every kernel source, numba's
version, the processor, the flags and the bounds-check setting; an edit anywhere starts afresh.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import llvmlite.binding
import numba
import numpy as np
from numba.core import config
from numba.extending import intrinsic as numba_intrinsic
from numpy.typing import ArrayLike, NDArray

from rate_models.compiler.cache import KernelCache, SharedCache, place
from rate_models.compiler.stages import KernelCompiler, SharedCompiler, StageCompiler
from rate_models.errors import BadOption

Array = NDArray[Any]
Scalar = Any  # one number of the network's dtype, inside kernels
int64: Any = numba.typeof(0)  # type: ignore[no-untyped-call]  # the type, as signatures of intrinsics have it
Function = TypeVar("Function", bound=Callable[..., Any])

# Without "nrt" numba counts no references. Kernels neither allocate nor keep arrays, so there is
# nothing to count; counting, at every call for every array of its named tuples, took two thirds of
# the time of a small network.
FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
STAGE_FLAGS: dict[str, Any] = {
    **FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": StageCompiler
}  # fmt: skip
# For sums alone: they may be reordered, so that they vectorise. Nowhere else: a loop that also
# stores is compiled twice, vectorised and not, and which of the two runs depends on how close in
# memory its arrays happen to lie; with these flags the two would differ in the last bit, and a
# resumed run from an undisturbed one. NaN and infinity keep their meaning: they show divergence.
REORDER = {"reassoc", "contract", "nsz"}
CACHE_LINE = 64
DTYPES = ("float32", "float64")
PACKAGES = ("rate_models", "biocircuits", "streaming")
RULES = ("rate_models", "rules")  # a file there may choose among kernels of others
OWN = ("rate_models", "compiler")


def source_key() -> str:
    """A hash of everything that decides what machine code the kernels become."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            text = path.read_bytes()
            where = path.parent.relative_to(root).parts
            if where in (RULES, OWN) or b"rate_models.compiler" in text:
                digest.update(str(path.relative_to(root)).encode() + b"\0" + text)
    flags = (FLAGS, sorted(REORDER))
    setting = os.environ.get("NUMBA_BOUNDSCHECK", "")
    cpu = llvmlite.binding.get_host_cpu_name()
    python = platform.python_version()
    digest.update(repr((numba.__version__, np.__version__, python, cpu, flags, setting)).encode())
    return digest.hexdigest()[:16]


_KEPT = place(source_key())


def kernel(function: Function) -> Function:
    """Compile an entry kernel: called from Python, cached on disk, runs without the GIL.

    It fills arrays that it is given: it can make none, nor can the stages that it calls. Call it
    with arrays that passed `coerce`, so that one signature per dtype exists.
    """
    compiled = numba.njit(pipeline_class=KernelCompiler, **FLAGS)(function)
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # else it is the function itself
        compiled._cache = KernelCache(function, _KEPT)  # type: ignore[arg-type]
    return compiled  # type: ignore[no-any-return]


def stage(function: Function) -> Function:
    """Compile a stage: only kernels and other stages call it; cached with its caller."""
    return numba.njit(**STAGE_FLAGS)(function)  # type: ignore[no-any-return]


def shared(function: Function) -> Function:
    """Compile a stage once for all kernels, which call its machine code: for a stage of many
    kernels that does enough at a call for the call not to count.
    """
    compiled = numba.njit(**{**STAGE_FLAGS, "pipeline_class": SharedCompiler})(function)
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]
        compile = partial(compiled._compiler.compile, return_type=None)
        compiled._cache = SharedCache(function, _KEPT, compile)  # type: ignore[arg-type]
    return compiled  # type: ignore[no-any-return]


def inlined(function: Function) -> Function:
    """Compile a stage into its callers: for a few instructions that are called often."""
    return numba.njit(forceinline=True, **STAGE_FLAGS)(function)  # type: ignore[no-any-return]


def reduction(function: Function) -> Function:
    """Compile a stage that only sums over arrays and stores nothing: its sum may be reordered."""
    return numba.njit(fastmath=REORDER, **STAGE_FLAGS)(function)  # type: ignore[no-any-return]


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """A stage written as LLVM instructions, for operations that Python cannot express."""
    return numba_intrinsic(function)


def specialise(
    template: Callable[..., Any],
    name: str,
    compiled: Callable[[Any], Any] = kernel,
    /,
    **bindings: object,
) -> Callable[..., Any]:
    """An entry kernel from ``template`` with some of its global names bound to stages.

    compiled: `stage` or `inlined` for a part of a kernel.

    Functions passed as arguments never hit numba's disk cache; functions bound as globals do.
    So the loop over samples is written once, and each rule gets its own compiled copy.
    """
    assert isinstance(template, FunctionType)
    names = {**template.__globals__, **bindings}
    bound = FunctionType(template.__code__, names, name, template.__defaults__)
    bound.__qualname__ = f"{template.__qualname__}_{name}"  # the cache file is named after this
    bound.__module__ = template.__module__
    return compiled(bound)  # type: ignore[no-any-return]


def aligned(array: ArrayLike, dtype: str | np.dtype[Any]) -> Array:
    """A copy that begins on a cache line, so that no vector straddles two: a fifth faster."""
    array = np.asarray(array, dtype)
    room = np.zeros(array.nbytes + CACHE_LINE, np.uint8)
    start = -room.ctypes.data % CACHE_LINE
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def coerce(
    where: str, value: ArrayLike, dtype: str | type, shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """``value`` as the contiguous, writable array of ``dtype`` and ``shape`` a kernel needs.

    ``None`` in ``shape`` allows any length. Raises BadOption when the shape differs: compiled
    code does not look, it reads past the end.

    >>> coerce("x", [1, 2], "float64", (2,))
    array([1., 2.])
    """
    array = np.require(value, dtype=np.dtype(dtype), requirements=["C", "W", "A"])
    if array.ndim != len(shape) or any(
        want is not None and want != got for want, got in zip(shape, array.shape, strict=True)
    ):
        want = tuple("any" if n is None else n for n in shape)
        raise BadOption(where, got=f"shape {array.shape}", expected=f"shape {want}")
    return array
