"""Optional packages: imported where they are used, installed by an extra."""

from __future__ import annotations

import importlib
from typing import Any

from rate_models.errors import MissingExtra


def import_extra(module: str, extra: str, where: str) -> Any:
    """The imported module. Raises MissingExtra, which names the ``extra`` that installs it."""
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        remedy = f'pip install "dendrostream[{extra}]"'
        raise MissingExtra(where, got=f"no {package}", remedy=remedy) from error
