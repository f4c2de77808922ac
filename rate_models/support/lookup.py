"""Lookup of rules, sources, circuits and papers by name.

A name refers to one of three: a file in our package of this `Kind` (``pepita``); a file in a
package that another distribution registers by an entry point of the group ``dendrostream.rules``,
``.sources``, ``.circuits`` or ``.papers``; or, given as a path, the user's own file
(``./sign_symmetry.py``, see `own_files`). A file ends in one object of its kind:
``RULE = Rule(...)``.

A file whose name starts with ``_`` is not in a catalogue.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from rate_models.errors import BadOption, UnknownName, quoted
from rate_models.support import own_files
from rate_models.support.arguments import check_text

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of object that is looked up by name.

    name: for example "rule". package: our package of such files. holds, type: name and type of the
    object in each file. expected: how a file ends, for messages.
    """

    name: str
    package: str
    holds: str
    type: type[T]
    expected: str

    @property
    def group(self) -> str:
        """The group of entry points, each of which names a package, or one module."""
        return f"dendrostream.{self.name}s"


def catalogue(kind: Kind[T]) -> dict[str, str]:
    """{name: module} of all that is installed, sorted. Of equal names, ours takes precedence.

    An entry point without a module is left out, with a warning.
    """
    modules = dict[str, str]()
    for point in sorted(entry_points(group=kind.group), key=lambda point: point.value):
        try:
            some = _modules(point.value)
        except ImportError:
            owner = point.dist.name if point.dist else "?"
            text = f"{kind.group} of {owner}: got no module {point.value}; it is left out"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
            continue
        modules = {**some, **modules}
    with contextlib.suppress(ImportError):  # in a bare checkout some of ours are not installed
        modules |= _modules(kind.package)
    return dict(sorted(modules.items()))


def names(kind: Kind[T]) -> list[str]:
    """The names of all that is installed, sorted."""
    return list(catalogue(kind))


def module(kind: Kind[T], name: str) -> ModuleType:
    """The module of the file with this name or path.

    Raises UnknownName, which lists the valid names, and what `own_files.load` raises.
    """
    check_text(kind.name, name)
    if own_files.parse(name):
        return own_files.load(kind.name, name)
    loaded = sys.modules.get(f"{kind.package}.{name}")
    if loaded is not None and not name.startswith("_"):
        return loaded
    valid = catalogue(kind)
    if name not in valid:
        near = difflib.get_close_matches(str(name), valid, n=1)
        raise UnknownName(
            kind.name,
            got=quoted(name),
            expected=f"one of {', '.join(valid)}",
            remedy=f"did you mean {near[0]!r}?" if near else "a file of your own: ./NAME.py",
        )
    return importlib.import_module(valid[name])


def get(kind: Kind[T], name: str) -> T:
    """The object in the file with this name or path.

    Raises what `module` raises, and BadOption for a file without such an object.
    """
    content = vars(module(kind, name))
    value = content.get(kind.holds)
    if not isinstance(value, kind.type):
        defined = kind.holds in content
        raise BadOption(
            f"file of {kind.name} {own_files.shown(name)}",
            got=f"{kind.holds} = {quoted(value)}" if defined else f"a file without {kind.holds}",
            expected=kind.expected,
            remedy="" if defined else "add this line, or name the file that has it",
        )
    return value


def reference(kind: Kind[T], module_name: str, what: str) -> str:
    """The name, or path and digest, by which `module` loads a module in another process.

    what: the subject of an error message. Raises BadOption where the module has neither.
    """
    last = module_name.rpartition(".")[2]
    if module_name == f"{kind.package}.{last}" or catalogue(kind).get(last) == module_name:
        return last
    return own_files.reference(module_name, what)


def document(source: ModuleType) -> str:
    """A module's docstring; read from its file where ``python -OO`` has dropped it."""
    text = inspect.getdoc(source)
    if text is None and source.__file__ and source.__file__.endswith(".py"):
        text = ast.get_docstring(ast.parse(Path(source.__file__).read_text(encoding="utf-8")))
    return text or ""


def _modules(package: str) -> dict[str, str]:
    """{name: module} of the public files in a package, or of a single module."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ImportError(package)
    if spec.submodule_search_locations is None:
        return {package.rpartition(".")[2]: package}
    files = pkgutil.iter_modules(spec.submodule_search_locations)
    return {m.name: f"{package}.{m.name}" for m in files if not m.name.startswith("_")}
