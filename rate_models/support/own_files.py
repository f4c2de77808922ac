"""Files of one's own, named by their path: a rule, a source, a circuit, a paper table.

``./sign_symmetry.py`` names a file. Runs and checkpoints keep ``/home/me/sign_symmetry.py#DIGEST``,
with a digest of its content: a file that has changed since is refused. What such a file imports
must be installed; files beside it are not found.

A file is run once for each content. Its module has a name made of path and content, so that an
edited file never passes for the one before, neither in Python nor in what numba keeps.
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
DIGITS = 32  # of SHA-256, in hexadecimal: nobody makes another file with the same ones
# A path has no colon, but that of a Windows drive: what follows one is an argument.
_PATH = re.compile(rf"((?:[A-Za-z]:)?[^:]+\.py)(?:#([0-9a-f]{{{DIGITS}}}))?(?::(.*))?", re.S)


class Named(NamedTuple):
    """path: of the file. digest: that its content must have, or "". argument: after the colon."""

    path: Path
    digest: str
    argument: str | None


def parse(name: str) -> Named | None:
    """What a name says of a file; None where it names no file of Python.

    >>> parse("./noisy.py:3")
    Named(path=PosixPath('noisy.py'), digest='', argument='3')
    >>> parse("csv:/data/table.csv") is parse("pepita") is None
    True
    """
    found = _PATH.fullmatch(name)
    return found and Named(Path(found[1]), found[2] or "", found[3])


def shown(name: str) -> str:
    """``name`` for a person to read: of a file its stem, and an argument.

    >>> shown("/home/me/noisy.py#0123456789abcdef0123456789abcdef:3"), shown("digits")
    ('noisy:3', 'digits')
    """
    found = parse(name)
    if found is None:
        return name
    return found.path.stem + ("" if found.argument is None else f":{found.argument}")


def load(kind: str, name: str) -> ModuleType:
    """The module of the file that ``name`` names; run, unless it has been with this content.

    kind: "rule", "source", ..., for messages. Raises MissingData where there is no such file,
    OtherFile where its content is not that of the digest, BadOption where Python cannot run it.
    """
    found = parse(name)
    assert found is not None
    path = _absolute(kind, found.path)
    try:
        text = path.read_bytes()
    except OSError as error:
        remedy = "put it back where it was" if found.digest else "a path ends in .py"
        raise MissingData(f"{kind} {path}", got=error.strerror, expected="a file of Python",
                          remedy=remedy) from None  # fmt: skip
    digest = _digest(text)
    if found.digest:
        _check(kind, path, digest, found.digest)
    if (path, digest) not in _modules:
        _modules[path, digest] = _run(kind, path, text, digest)
    return _modules[path, digest]


def place(module: str, what: str) -> str:
    """What `at` finds a module by in another process: its name in a package, else its `reference`.

    Raises BadOption where it has neither.
    """
    packaged = "." in module and not module.startswith(PREFIX)
    return module if packaged else reference(module, what)


def at(place: str, kind: str) -> ModuleType:
    """The module of a `place`. Raises what `load` raises."""
    return load(kind, place) if parse(place) else importlib.import_module(place)


def reference(module: str, what: str) -> str:
    """``PATH#DIGEST`` of the file of a module, from which `load` makes it in another process.

    Raises BadOption where it has no file: it was typed at a prompt.
    """
    if module not in _files:
        note(module)
    if module not in _files:
        got, remedy = "one that has no file", "write it into a file of its own"
        raise BadOption(what, got=got, expected="one that another process finds", remedy=remedy)
    path, digest = _files[module]
    return f"{path}#{digest}"


def note(module: str) -> None:
    """Remember the content of a module's file, while it is the content that Python has run."""
    found = sys.modules.get(module)
    file = found and found.__dict__.get("__file__")
    if found is None or not file or module in _files:
        return
    try:
        path = Path(file).resolve()
        _files[module] = path, _digest(path.read_bytes())
    except OSError:  # of a zip, say
        return
    _modules.setdefault(_files[module], found)


_modules: dict[tuple[Path, str], ModuleType] = {}
_files: dict[str, tuple[Path, str]] = {}


def _absolute(kind: str, path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise BadOption(f"{kind} {path}", got=f"{error}", expected="the path of a file") from None


def _check(kind: str, path: Path, digest: str, wanted: str) -> None:
    """Refuse a file that a run or checkpoint names, where it is another or others can write it."""
    if digest != wanted:
        raise OtherFile(
            f"{kind} {path}",
            got=f"a file that has changed: its content has the digest {digest[:8]}...",
            expected=f"{wanted[:8]}..., with which the run or checkpoint was made",
            remedy="put the old content back, or start a new run",
        )
    from rate_models.compiler.cache import distrust_file  # with numba, which takes long to import

    if why := distrust_file(path):
        raise OtherFile(f"{kind} {path}", got=f"{why}", expected="a file that only you can change")


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:DIGITS]


class _Read(importlib.abc.SourceLoader):
    """Runs the very bytes of which the digest was made, and keeps no bytecode."""

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
        for made in (package, name):
            sys.modules.pop(made, None)
        del _files[name]
        raise BadOption(f"{kind} {path}", got=_reason(error, path),
                        expected="a file that Python can run") from error  # fmt: skip
    return module


def _reason(error: Exception, path: Path) -> str:
    """An error in one line, with the line of the file where it comes from."""
    if isinstance(error, UserError):
        return str(error)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    at = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    where = f"line {at}: " if at else ""
    remedy = ""
    if isinstance(error, ModuleNotFoundError):
        remedy = " (what it imports must be installed: files beside it are not found)"
    return f"{where}{type(error).__name__}: {error}{remedy}"
