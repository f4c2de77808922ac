"""Kernel discipline: one decorator, a cache that is never stale, arrays checked at entry."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numba.core import config
from project import ROOT

from rate_models.compiler import kernel
from rate_models.compiler.cache import KernelCache
from rate_models.compiler.kernel import CACHE_LINE, DTYPES, PACKAGES, aligned, coerce
from rate_models.errors import BadOption

PART = """
from rate_models.compiler.kernel import stage

@stage
def part(x):
    return x + 1
"""
WHOLE = """
from rate_models import part
from rate_models.compiler.kernel import kernel, source_key

@kernel
def whole(x):
    return part.part(x[2])

if __name__ == "__main__":
    import numpy as np
    print(source_key(), whole(np.arange(3.0)), sum(whole.stats.cache_hits.values()))
"""


class Copy:
    """A copy of rate_models with a kernel that calls a stage in another file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(
            ROOT / "rate_models", folder / "rate_models", ignore=shutil.ignore_patterns("__pyc*")
        )
        self.write("part.py", PART)
        self.write("whole.py", WHOLE)

    def write(self, name: str, text: str) -> None:
        (self.folder / "rate_models" / name).write_text(text, encoding="utf-8")

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        cache = {"DENDROSTREAM_CACHE": str(self.folder / "cache"), "NUMBA_BOUNDSCHECK": ""}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, **cache, "PYTHONPATH": str(self.folder), **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def whole(self, **environment: str) -> tuple[str, float, int]:
        done = self.python("-m", "rate_models.whole", **environment)
        assert done.returncode == 0, done.stderr
        key, value, hits = done.stdout.split()
        return key, float(value), int(hits)


def test_an_edit_in_another_file_is_never_missed(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    key, value, hits = copy.whole()
    assert (value, hits) == (3.0, 0)
    assert copy.whole() == (key, 3.0, 1)  # cached on disk
    copy.write("errors.py", (ROOT / "rate_models/errors.py").read_text() + "\n# no kernel here\n")
    assert copy.whole() == (key, 3.0, 1)
    rule = (ROOT / "rate_models/rules/drtp.py").read_text(encoding="utf-8")
    assert 'signal="target"' in rule  # which kernel it takes, of those in a file of the family
    copy.write("rules/drtp.py", rule.replace('signal="target"', 'signal="error"'))
    assert copy.whole()[0] != key
    copy.write("rules/drtp.py", rule)
    assert copy.whole() == (key, 3.0, 1)
    copy.write("part.py", PART.replace("x + 1", "x + 2"))
    edited, value, hits = copy.whole()
    assert (value, hits) == (4.0, 0)
    assert edited != key
    assert copy.whole(NUMBA_BOUNDSCHECK="1")[0] not in (key, edited)


def test_bounds_are_checked_when_asked(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.write("whole.py", WHOLE.replace("arange(3.0)", "arange(2.0)"))
    assert copy.python("-m", "rate_models.whole").returncode == 0  # reads past the end
    checked = copy.python("-m", "rate_models.whole", NUMBA_BOUNDSCHECK="1")
    assert "IndexError" in checked.stderr


SLOW_SAVE = """
import sys, time
from pathlib import Path
import numpy as np
from rate_models.whole import whole

replace = Path.replace

def slow(self, target):
    time.sleep(float(sys.argv[2]))  # another process may save in between
    return replace(self, target)

Path.replace = slow
x = np.arange(3, dtype=sys.argv[1])
print(whole(x), sum(whole.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_processes_that_save_at_once_do_not_mix_up_signatures(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.write("slow_save.py", SLOW_SAVE)
    dtypes = ("float32", "float64", "int64")

    def run(dtype: str, wait: float) -> list[str]:
        done = copy.python("-m", "rate_models.slow_save", dtype, str(wait))
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    with ThreadPoolExecutor() as pool:
        first = list(pool.map(run, dtypes, [1.0] * 3))
    assert [hits for _, hits in first] == ["0"] * 3
    for dtype, (value, _) in zip(dtypes, first, strict=True):
        assert run(dtype, 0.0) == [value, "1"]  # each from the cache, and each its own


def test_without_a_folder_to_write_kernels_are_compiled_all_the_same(tmp_path: Path) -> None:
    copy, blocked = Copy(tmp_path), tmp_path / "file"
    blocked.write_text("no folder")
    _, value, hits = copy.whole(DENDROSTREAM_CACHE=str(blocked))
    assert (value, hits) == (3.0, 0)


def test_no_other_process_compiles() -> None:
    """numba is imported where kernels are made; all others take the decorators from there."""
    seen = 0
    for package in (*PACKAGES, "demos"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.partition(".")[0] == "numba" for name in names):
                    assert path.parent == ROOT / "rate_models" / "compiler", path
                    seen += 1
    assert seen


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int64, np.float32, np.float64, np.dtype(">f8")]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements=st.integers(0, 200),
    ),
    st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=3).map(tuple),
    st.sampled_from(DTYPES),
    st.booleans(),
)
def test_arrays_that_pass_the_entry_checks_fit_a_kernel(
    value: np.ndarray, shape: tuple[int | None, ...], dtype: str, transposed: bool
) -> None:
    value = value.T if transposed else value
    value.flags.writeable = False
    fits = value.ndim == len(shape) and all(
        want in (None, n) for want, n in zip(shape, value.shape, strict=True)
    )
    if not fits:
        with pytest.raises(BadOption, match="x: got shape"):
            coerce("x", value, dtype, shape)
        return
    got = coerce("x", value, dtype, shape)
    assert got.dtype == dtype and got.flags.c_contiguous and got.flags.writeable
    assert got.dtype.isnative and (got == value).all()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (5, 7), (100, 33)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_aligned_arrays_begin_on_a_cache_line(shape: tuple[int, ...], dtype: str) -> None:
    given = np.random.default_rng(0).random(shape)
    got = aligned(given, dtype)
    assert got.ctypes.data % CACHE_LINE == 0 or not got.size
    assert got.shape == shape and got.dtype == dtype and got.flags.c_contiguous
    assert got.flags.writeable and (got == given.astype(dtype)).all()
    assert not np.shares_memory(got, given)


def test_kernels_are_compiled_without_numbas_own_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numba has one setting for all threads and all packages: it is nobody's to move."""
    monkeypatch.chdir(tmp_path)
    before, seen = config.CACHE_DIR, list[str]()
    real = kernel.numba.njit

    def slowly(**flags: Any) -> Any:
        def decorated(function: Any) -> Any:
            time.sleep(0.02)
            seen.append(config.CACHE_DIR)
            return real(**flags)(function)

        return decorated

    monkeypatch.setattr(kernel.numba, "njit", slowly)

    def make(_: int) -> Any:
        return kernel.specialise(_nothing, f"nothing_{_}")

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, range(8)))
    assert before == config.CACHE_DIR and set(seen) == {before}
    assert all(isinstance(one._cache, KernelCache) for one in made)
    assert not list(tmp_path.iterdir())


def _nothing(x: Any) -> None:
    x[0] = 0
