"""The cache of compiled kernels, and which cached files are trusted.

A cached file is machine code, and loading it can run it. So only folders that belong to this user
or to root, and that nobody else can write to, are read. A damaged file is removed and compiled
again. If no folder can be used, each process compiles for itself.

A file per kernel and signature, written under another name and then renamed: processes that save
at once leave one whole file each.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import os
import pickle
import re
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from numba.core import types
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from rate_models.compiler import foreign, helper, symbols

try:
    import grp
    import pwd
except ImportError:  # not on Windows
    grp = pwd = None  # type: ignore[assignment]

VARIABLE = "DENDROSTREAM_CACHE"
MODE = 0o755  # of the folders made here: others may read what an administrator has compiled
DIGEST = hashlib.sha256().digest_size


class Place(NamedTuple):
    """folder: that of the kernels, or None where none is to be used, for the reason ``why``."""

    folder: Path | None
    why: str = ""


def place(key: str) -> Place:
    """Where kernels are kept: ``DENDROSTREAM_CACHE``, or ``dendrostream`` in the user's cache.

    key: the name of the innermost folder. Missing folders are created.
    """
    named = os.environ.get(VARIABLE)
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        base = Path(named or os.path.join(cache, "dendrostream")).expanduser()
    except RuntimeError:  # a user without a name, in a container
        return Place(None, "this user has no home folder")
    folders = (base, base / "kernels", base / "kernels" / key)
    try:
        for folder in folders:
            folder.mkdir(MODE, parents=True, exist_ok=True)
        why = next((text for folder in folders if (text := distrust(folder, folder == base))), "")
    except OSError as error:
        return Place(None, f"{error.filename or folders[-1]}: {error.strerror}")
    return Place(None, why) if why else Place(folders[-1])


def distrust(folder: Path, shared: bool = False) -> str:
    """Why code in ``folder`` must not be run; empty if only this user or root can write there.

    shared: the folder may be one like /tmp, where all can write, but only their own files.
    """
    if pwd is None:
        return ""
    about = folder.stat()
    if about.st_uid not in (0, os.geteuid()):
        return f"{folder} belongs to another user (number {about.st_uid})"
    open_to = stat.S_IWOTH if _private(about) else stat.S_IWOTH | stat.S_IWGRP
    if about.st_mode & open_to and not (shared and about.st_mode & stat.S_ISVTX):
        return f"others can write to {folder}: chmod go-w {folder}"
    return ""


def distrust_file(path: Path) -> str:
    """Why the code in a file must not be run; empty if only this user or root can change it."""
    if pwd is None:
        return ""
    about = path.stat()
    if about.st_uid not in (0, os.geteuid()):
        return f"it belongs to another user (number {about.st_uid})"
    open_to = stat.S_IWOTH if _private(about) else stat.S_IWOTH | stat.S_IWGRP
    return f"others can write to it: chmod go-w {path}" if about.st_mode & open_to else ""


def _private(about: os.stat_result) -> bool:
    """Whether the folder's group is its owner's own, of nobody else."""
    try:
        owner, group = pwd.getpwuid(about.st_uid), grp.getgrgid(about.st_gid)
    except KeyError:
        return False
    return owner.pw_name == group.gr_name and set(group.gr_mem) <= {owner.pw_name}


class KernelCache:
    """What numba's dispatcher asks for compiled code, in place of numba's own cache.

    Numba's own cache trusts every file in its folder, raises on a truncated file, and stores
    nothing in a read-only folder. ``kept``: the result of `place`.
    """

    def __init__(self, function: FunctionType, kept: Place) -> None:
        self._function, self._kept = function, kept

    @property
    def cache_path(self) -> str:
        """The folder, for numba's statistics."""
        return str(self._kept.folder or "")

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled code for a signature, or None."""
        target.refresh()
        return self._load(file_name(self._function, signature, target.codegen()), target)

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep compiled code, or warn that it cannot be kept."""
        library = compiled.library
        if library.has_dynamic_globals:  # addresses, which hold for this process alone
            return
        if library._compiled_object is None:  # lost to a Ctrl-C, which LLVM's callback swallows
            return
        if self._kept.folder is None:
            _warn("no folder for them", self._kept.why)
            return
        path = self._kept.folder / file_name(self._function, signature, compiled.codegen)
        content = dumps((symbols.called(library), compiled._reduce()))  # type: ignore[no-untyped-call]
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(MODE, parents=True, exist_ok=True)
            part.write_bytes(hashlib.sha256(content).digest() + content)
            part.replace(path)
        except OSError as error:
            _remove(part)
            _warn(str(self._kept.folder), str(error.strerror or error))

    def flush(self) -> None:
        """Numba's way to recompile; ours is another name of the folder."""

    def _load(self, name: str, target: Any, make: Any = CompileResult._rebuild) -> Any:
        """What is kept under a name, after all that it calls; None where a part is missing.

        make(target, *what is kept): the compiled code.
        """
        if self._kept.folder is None:
            return None
        path = self._kept.folder / name
        try:
            content = path.read_bytes()
        except OSError:
            return None
        try:
            if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
                raise ValueError("cut or changed")
            called, reduced = pickle.loads(content[DIGEST:])
            found = all(self._shared(symbol, target) is not None for symbol in called)
            return make(target, *reduced) if found else None
        except Exception:  # whatever is wrong with it, it can be made anew
            _remove(path)
            return None

    def _shared(self, symbol: str, target: Any) -> Any:
        """The shared stage of a symbol, or None."""

        def added(target: Any, library: Any, fndesc: Any, env: Any, signature: Any, *_: Any) -> Any:
            library = target.codegen().unserialize_library(library)
            return symbols.add(symbol, target, library, fndesc, env, signature)

        name = symbol.removeprefix(symbols.PREFIX)
        return symbols.known(symbol) or self._load(name, target, added)


class SharedCache(KernelCache):
    """The same for stages that kernels call by their symbol.

    compile: compiles the stage for types in this process; where it is given, another may do it.
    """

    def __init__(
        self, function: FunctionType, kept: Place, compile: Callable[[Any], Any] | None = None
    ) -> None:
        super().__init__(function, kept)
        self._compile = compile

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled code for a signature, or what stands for it; None: it is to be compiled."""
        target.refresh()
        symbol = self.symbol(signature, target.codegen())
        found, compile = self._shared(symbol, target), self._compile
        if found is not None or compile is None or self._kept.folder is None:
            return found

        def make() -> None:
            if self._shared(symbol, target) is None:
                self.save_overload(signature, compile(signature))

        return helper.announced(symbol, self._function, signature, target, make)

    def symbol(self, signature: Any, codegen: Any) -> str:
        """The symbol by which kernels call the stage for a signature."""
        return symbols.PREFIX + file_name(self._function, signature, codegen)


def file_name(function: FunctionType, signature: Any, codegen: Any) -> str:
    """The name of the file of compiled code: the function's, and what tells it from all others."""
    about = [
        [_described(kind) for kind in (*signature, *_bound(function))],
        codegen.magic_tuple(), _code(function), foreign.digest(function),
    ]  # fmt: skip
    digest = hashlib.sha256(repr(about).encode()).hexdigest()[:24]
    module = function.__module__.rpartition(".")[2]
    name = re.sub(r"[^\w.]", "", function.__qualname__)  # of <locals>, which Windows refuses
    return f"{module}.{name}-{digest}"


def _described(kind: Any) -> str:
    """A type of numba in words that tell it from all others; named tuples by class and fields."""
    of = getattr(kind, "instance_class", None)
    if not inspect.isclass(of):
        return repr(kind)
    fields = zip(kind.fields, map(_described, kind.types), strict=True)
    return f"{of.__module__}.{of.__qualname__}({', '.join(map(': '.join, fields))})"


def _bound(function: FunctionType) -> list[Any]:
    """The types among the names that the code of a function uses."""
    named = map(function.__globals__.get, function.__code__.co_names)
    return [value for value in named if isinstance(value, types.Type)]


def _code(function: FunctionType) -> str:
    code = function.__code__
    text = repr((code.co_filename, code.co_firstlineno, code.co_names)).encode() + code.co_code
    return hashlib.sha256(text + _file(code.co_filename)).hexdigest()


@functools.cache
def _file(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError:
        return b""


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _warn(where: str, why: str) -> None:
    warnings.warn(
        f"compiled kernels cannot be kept: {where} ({why}); each process compiles them anew; "
        f"{VARIABLE}=FOLDER names another folder",
        RuntimeWarning,
        stacklevel=3,
    )
