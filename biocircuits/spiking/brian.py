"""Import of Brian 2 when it is first used. Needs the extra ``spiking``."""

from __future__ import annotations

import importlib
import warnings
from importlib.util import find_spec
from types import ModuleType

from rate_models.errors import MissingExtra


def load() -> ModuleType:
    """The module brian2. Raises MissingExtra where it is not installed or cannot be imported."""
    if find_spec("brian2") is None:
        raise MissingExtra("brian2", got="no package brian2",
                           remedy='pip install "dendrostream[spiking]"')  # fmt: skip
    try:
        with warnings.catch_warnings():  # it uses deprecated names of pyparsing
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module("brian2")
    except (ImportError, AttributeError) as error:  # 2.9 with numpy 2.4: no ndarray.ptp
        remedy = 'pip install "dendrostream[spiking]" installs compatible versions'
        raise MissingExtra("brian2", got=error, remedy=remedy) from error
