"""A folder's files are its catalogue: a public name is a file name.

A file whose name starts with ``_`` is not in the catalogue.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from rate_models.errors import UnknownName, quoted
from rate_models.support.arguments import check_text


def names(package: str) -> list[str]:
    """The public names in ``package``, sorted.

    >>> "pepita" in names("rate_models.rules")
    True
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise UnknownName("package", got=package, expected="an importable package folder")
    found = pkgutil.iter_modules(spec.submodule_search_locations)
    return sorted(m.name for m in found if not m.name.startswith("_"))


def get(package: str, name: str) -> ModuleType:
    """The module ``package.name``.

    Raises UnknownName, listing the valid names, when there is no such file.

    >>> get("rate_models.rules", "pepita").__name__
    'rate_models.rules.pepita'
    """
    check_text(package.rpartition(".")[2].removesuffix("s"), name)
    loaded = sys.modules.get(f"{package}.{name}")
    if loaded is not None and not name.startswith("_"):
        return loaded
    valid = names(package)
    if name not in valid:
        near = difflib.get_close_matches(str(name), valid, n=1)
        raise UnknownName(
            package.rpartition(".")[2].removesuffix("s"),
            got=quoted(name),
            expected=f"one of {', '.join(valid)}",
            remedy=f"did you mean {near[0]!r}?" if near else "",
        )
    return importlib.import_module(f"{package}.{name}")


def document(module: ModuleType) -> str:
    """A module's docstring; read from its file where Python, started with -OO, has dropped it.

    >>> document(get("rate_models.rules", "pepita")).partition(":")[0]
    'PEPITA'
    """
    text = inspect.getdoc(module)
    if text is None and module.__file__ and module.__file__.endswith(".py"):
        text = ast.get_docstring(ast.parse(Path(module.__file__).read_text(encoding="utf-8")))
    return text or ""
