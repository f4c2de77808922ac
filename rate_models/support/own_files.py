"""The user's own files, named by their path: a rule, a source, a circuit or a paper table.

``./sign_symmetry.py`` names a file. Runs and checkpoints store its absolute path and a digest of
its content, ``/home/me/sign_symmetry.py#DIGEST``. A file that has changed since is refused. All
that such a file imports must be installed; files beside it are not importable.

A file is executed once per content. The name of its module depends on path and content, so that an
edited file is never mistaken for its earlier version, neither by Python nor in numba's cache.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.util
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from rate_models.errors import BadOption, MissingData, OtherFile, UserError

PREFIX = "dendrostream_own_"
DIGITS = 32  # hexadecimal digits of SHA-256 that are kept: enough against deliberate collisions
# A path has no colon, except after a Windows drive letter: what follows a colon is an argument.
_PATH = re.compile(rf"((?:[A-Za-z]:)?[^:]+\.py)(?:#([0-9a-f]{{{DIGITS}}}))?(?::(.*))?", re.S)


class Named(NamedTuple):
    """A file name in its parts.

    path: of the file. digest: the required digest of its content, or "". argument: the text after
    the colon, or None.
    """

    path: Path
    digest: str
    argument: str | None


def parse(name: str) -> Named | None:
    """The parts of a name that is the path of a Python file; None for any other name.

    >>> parse("./noisy.py:3")
    Named(path=PosixPath('noisy.py'), digest='', argument='3')
    >>> parse("csv:/data/table.csv") is parse("pepita") is None
    True
    """
    match = _PATH.fullmatch(name)
    return match and Named(Path(match[1]), match[2] or "", match[3])


def split(name: str) -> tuple[str, str | None]:
    """A name, or the path of a file, and its argument after the colon.

    >>> split("csv:FILE.csv"), split("digits"), split("./noisy.py:3")
    (('csv', 'FILE.csv'), ('digits', None), ('./noisy.py', '3'))
    """
    if own := parse(name):
        argument = own.argument
        return name if argument is None else name[: -len(argument) - 1], argument
    kind, colon, argument = name.partition(":")
    return kind, argument if colon else None


def shown(name: str) -> str:
    """``name`` in short form for messages: the stem of a file, and its argument.

    >>> shown("/home/me/noisy.py#0123456789abcdef0123456789abcdef:3"), shown("digits")
    ('noisy:3', 'digits')
    """
    named = parse(name)
    if named is None:
        return name
    return named.path.stem + ("" if named.argument is None else f":{named.argument}")


def load(kind: str, name: str) -> ModuleType:
    """The module of the file ``name``; executed unless it has been with this content.

    kind: "rule", "source", ..., for messages. Raises MissingData where there is no such file,
    OtherFile where its content does not have the digest, BadOption where Python cannot run it.
    """
    named = parse(name)
    assert named is not None
    path = _absolute(kind, named.path)
    try:
        text = path.read_bytes()
    except OSError as error:
        remedy = "put it back where it was" if named.digest else "a path ends in .py"
        raise MissingData(f"{kind} {path}", got=error.strerror, expected="a file of Python",
                          remedy=remedy) from None  # fmt: skip
    digest = _digest(text)
    if named.digest:
        _check(kind, path, digest, named.digest)
    if (path, digest) not in _modules:
        _modules[path, digest] = _run(kind, path, text, digest)
    return _modules[path, digest]


def location(module: str, what: str) -> str:
    """The text by which `at` loads a module in another process.

    It is the module's name in a package, else its `reference`.

    Raises BadOption where it has neither.
    """
    packaged = "." in module and not module.startswith(PREFIX)
    return module if packaged else reference(module, what)


def at(place: str, kind: str) -> ModuleType:
    """The module that a text of `location` names. Raises what `load` raises."""
    return load(kind, place) if parse(place) else importlib.import_module(place)


def reference(module: str, what: str) -> str:
    """``PATH#DIGEST`` of a module's file, from which `load` loads it in another process.

    Raises BadOption where the module has no file because it was typed at a prompt.
    """
    if module not in _files:
        note(module)
    if module not in _files:
        got, remedy = "one that has no file", "write it into a file of its own"
        raise BadOption(what, got=got, expected="one that another process finds", remedy=remedy)
    path, digest = _files[module]
    return f"{path}#{digest}"


def note(module: str) -> None:
    """Record the digest of a module's file while its content is still what Python has executed."""
    loaded = sys.modules.get(module)
    file = loaded and loaded.__dict__.get("__file__")
    if loaded is None or not file or module in _files:
        return
    try:
        path = Path(file).resolve()
        _files[module] = path, _digest(path.read_bytes())
    except OSError:  # for example inside a zip archive
        return
    _modules.setdefault(_files[module], loaded)


_modules: dict[tuple[Path, str], ModuleType] = {}
_files: dict[str, tuple[Path, str]] = {}


def _absolute(kind: str, path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise BadOption(f"{kind} {path}", got=f"{error}", expected="the path of a file") from None


def _check(kind: str, path: Path, digest: str, required: str) -> None:
    """Refuse a file of a run or checkpoint that has changed or that other users can write."""
    if digest != required:
        raise OtherFile(
            f"{kind} {path}",
            got=f"a file that has changed: its content has the digest {digest[:8]}...",
            expected=f"{required[:8]}..., with which the run or checkpoint was made",
            remedy="put the old content back, or start a new run",
        )
    from rate_models.compiler.cache import distrust_file  # with numba, which takes long to import

    if why := distrust_file(path):
        raise OtherFile(f"{kind} {path}", got=f"{why}", expected="a file that only you can change")


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:DIGITS]


class _Read(importlib.abc.SourceLoader):
    """Executes the same bytes that the digest was computed from, and stores no bytecode."""

    def __init__(self, path: Path, text: bytes) -> None:
        self.path, self.text = path, text

    def get_filename(self, fullname: str) -> str:
        return str(self.path)

    def get_data(self, path: Any) -> bytes:
        return self.text


def _run(kind: str, path: Path, text: bytes, digest: str) -> ModuleType:
    package = PREFIX + hashlib.sha256(f"{path}\0{digest}".encode()).hexdigest()[:16]
    name = f"{package}.{path.stem}"
    spec = importlib.util.spec_from_loader(name, loader := _Read(path, text))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = ModuleType(package)  # pickle asks for it first
    sys.modules[name], _files[name] = module, (path, digest)
    try:
        loader.exec_module(module)
    except Exception as error:
        for new in (package, name):
            sys.modules.pop(new, None)
        del _files[name]
        raise BadOption(f"{kind} {path}", got=_reason(error, path),
                        expected="a file that Python can run") from error  # fmt: skip
    return module


def _reason(error: Exception, path: Path) -> str:
    """The error on one line, with the line number in the file that raised it."""
    if isinstance(error, UserError):
        return str(error)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    at = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    where = f"line {at}: " if at else ""
    remedy = ""
    if isinstance(error, ModuleNotFoundError):
        remedy = " (all that it imports must be installed: files beside it are not importable)"
    return f"{where}{type(error).__name__}: {error}{remedy}"
