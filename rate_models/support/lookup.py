"""How a rule, a source, a circuit or a paper is found by its name: one way for all four.

A name is that of a file in our folder of this `Kind` (``pepita``), of a file in a package that
another distribution names by an entry point of the group ``dendrostream.rules``, ``.sources``,
``.circuits`` or ``.papers``, or it is the path of a file of one's own (``./sign_symmetry.py``, see
`own_files`). A file ends in one object of its kind: ``RULE = Rule(...)``.

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
    """What can be found. name: "rule". package: of ours. holds, type: of the object in each file.

    expected: how a file ends, for messages.
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
    """{name: module} of all that is installed, sorted; ours come before others of that name.

    An entry point that names nothing is passed over, with a warning.
    """
    found = dict[str, str]()
    for point in sorted(entry_points(group=kind.group), key=lambda point: point.value):
        try:
            some = _modules(point.value)
        except ImportError:
            owner = point.dist.name if point.dist else "?"
            text = f"{kind.group} of {owner}: got no module {point.value}; it is left out"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
            continue
        found = {**some, **found}
    with contextlib.suppress(ImportError):  # in a bare checkout some of ours are not installed
        found |= _modules(kind.package)
    return dict(sorted(found.items()))


def names(kind: Kind[T]) -> list[str]:
    """The names of all that is installed, sorted."""
    return list(catalogue(kind))


def module(kind: Kind[T], name: str) -> ModuleType:
    """The file of that name or path, as a module.

    Raises UnknownName, listing the valid names, and what `own_files.load` raises.
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
    """The object in the file of that name or path.

    Raises what `module` raises, and BadOption for a file without one.
    """
    found = vars(module(kind, name)).get(kind.holds)
    if not isinstance(found, kind.type):
        where = f"file of {kind.name} {own_files.shown(name)}"
        raise BadOption(where, got=quoted(found), expected=kind.expected)
    return found


def reference(kind: Kind[T], module_name: str, what: str) -> str:
    """What `module` finds a module by in another process: its name, or path and digest.

    what: of whom a message speaks. Raises BadOption where there is no such thing.
    """
    last = module_name.rpartition(".")[2]
    if module_name == f"{kind.package}.{last}" or catalogue(kind).get(last) == module_name:
        return last
    return own_files.reference(module_name, what)


def document(found: ModuleType) -> str:
    """A module's docstring; read from its file where Python, started with -OO, has dropped it."""
    text = inspect.getdoc(found)
    if text is None and found.__file__ and found.__file__.endswith(".py"):
        text = ast.get_docstring(ast.parse(Path(found.__file__).read_text(encoding="utf-8")))
    return text or ""


def _modules(package: str) -> dict[str, str]:
    """{name: module} of the public files in a package; of a single module itself."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ImportError(package)
    if spec.submodule_search_locations is None:
        return {package.rpartition(".")[2]: package}
    found = pkgutil.iter_modules(spec.submodule_search_locations)
    return {m.name: f"{package}.{m.name}" for m in found if not m.name.startswith("_")}
