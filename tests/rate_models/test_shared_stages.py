"""Stages that are compiled once for all kernels: kept apart, found again, never missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import event

from rate_models.compiler import symbols
from rate_models.compiler.cache import KernelCache, Place, SharedCache
from rate_models.compiler.kernel import FLAGS, STAGE_FLAGS, specialise
from rate_models.compiler.stages import SharedCompiler

loaded: list[Any] = []  # machine code of earlier processes in little, which stays in memory


def _double(x: Any) -> None:
    for i in range(x.size):
        x[i] *= 2


def _quadruple(x: Any) -> int:
    double(x)  # type: ignore[name-defined]  # noqa: F821
    double(x)  # type: ignore[name-defined]  # noqa: F821
    return x.size  # type: ignore[no-any-return]


def _one(x: Any) -> int:
    return quadruple(x)  # type: ignore[name-defined,no-any-return]  # noqa: F821


def _other(x: Any) -> Any:
    double(x)  # type: ignore[name-defined]  # noqa: F821
    return x.sum()


class Process:
    """A new process in little: two kernels and two stages, one of which calls the other."""

    def __init__(self, folder: Path | None) -> None:
        kept = Place(folder)

        def shared(function: Any) -> Any:
            flags = {**STAGE_FLAGS, "pipeline_class": SharedCompiler}
            compiled = numba.njit(**flags)(function)
            compiled._cache = SharedCache(function, kept)
            return compiled

        def kernel(function: Any) -> Any:
            compiled = numba.njit(**FLAGS)(function)
            compiled._cache = KernelCache(function, kept)
            return compiled

        loaded.append(dict(symbols._known))
        symbols._known.clear()
        double = specialise(_double, "double", shared)
        quadruple = specialise(_quadruple, "quadruple", shared, double=double)
        self.one = specialise(_one, "one", kernel, quadruple=quadruple)
        self.other = specialise(_other, "other", kernel, double=double)

    def compiled(self, dtype: str = "float64") -> list[str]:
        """Run both kernels; the functions that were compiled for it."""
        with event.install_recorder("numba:compile") as recorder:
            x = np.arange(5).astype(dtype)
            assert self.one(x) == 5
            np.testing.assert_array_equal(x, 4 * np.arange(5))
            assert self.other(x) == 80
        started = [one for _, one in recorder.buffer if one.is_start]
        names = [one.data["dispatcher"].py_func.__name__ for one in started]
        return sorted(name for name in names if name in ("double", "quadruple", "one", "other"))


ALL = ["double", "one", "other", "quadruple"]


@pytest.fixture(autouse=True)
def _as_before() -> Any:
    before = dict(symbols._known)
    yield
    symbols._known.update(before)


def test_a_stage_is_compiled_once_for_all_kernels_and_kept(tmp_path: Path) -> None:
    assert Process(tmp_path).compiled() == ALL
    assert Process(tmp_path).compiled() == []
    assert Process(tmp_path).compiled("float32") == ALL
    assert Process(tmp_path).compiled("float32") == []
    assert len(list(tmp_path.iterdir())) == 8


@pytest.mark.parametrize(
    ("missing", "again"),
    [
        ("double", ["double", "one", "quadruple"]),  # which one needs first, and other finds
        ("quadruple", ["one", "quadruple"]),
        ("one", ["one"]),
        ("other", ["other"]),
    ],
)
@pytest.mark.parametrize("damaged", [False, True])
def test_what_is_missing_or_damaged_is_compiled_with_its_callers(
    tmp_path: Path, missing: str, again: list[str], damaged: bool
) -> None:
    Process(tmp_path).compiled()
    (file,) = tmp_path.glob(f"*_{missing}-*")
    content = file.read_bytes()
    file.unlink()
    if damaged:
        file.write_bytes(content[:-1])
    assert Process(tmp_path).compiled() == again
    assert Process(tmp_path).compiled() == []


def test_without_a_folder_stages_are_shared_within_a_process() -> None:
    with pytest.warns(RuntimeWarning, match="no folder for them"):
        assert Process(None).compiled() == ALL


def test_an_error_in_a_shared_stage_reaches_python() -> None:
    """As an index out of bounds does, where bounds are checked."""
    code = (
        "import numpy as np; from rate_models.compiler.kernel import kernel, shared\n"
        "@shared\ndef third(x):\n    return x[2]\n"
        "@kernel\ndef run(x):\n    return third(x)\n"
        "assert run(np.arange(3.0)) == 2\n"
        "try:\n    run(np.arange(2.0))\nexcept IndexError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"NUMBA_BOUNDSCHECK": "1", "HOME": "/nowhere"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "out of bounds" in done.stdout
