"""Brian 2 itself, imported when it is first used. Needs the extra ``spiking``."""

from __future__ import annotations

import importlib
import warnings
from importlib.util import find_spec
from types import ModuleType

from rate_models.errors import MissingExtra


def load() -> ModuleType:
    """The module brian2; MissingExtra where it is not installed or does not import."""
    if find_spec("brian2") is None:
        raise MissingExtra("brian2", got="no package brian2",
                           remedy='pip install "dendrostream[spiking]"')  # fmt: skip
    try:
        with warnings.catch_warnings():  # it calls pyparsing by its old names
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module("brian2")
    except (ImportError, AttributeError) as error:  # 2.9 with numpy 2.4: no ndarray.ptp
        remedy = 'pip install "dendrostream[spiking]" takes versions that fit each other'
        raise MissingExtra("brian2", got=error, remedy=remedy) from error
