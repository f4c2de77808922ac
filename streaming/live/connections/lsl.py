"""Lab Streaming Layer: the library pylsl, loaded when it is used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rate_models.errors import MissingExtra
from rate_models.support.extras import import_extra

# Where liblsl looks for the user's settings; without any it would print a line for every connection
SETTINGS = ("lsl_api.cfg", "~/lsl_api/lsl_api.cfg", "/etc/lsl_api/lsl_api.cfg")
SILENT = "[log]\nlevel = -2\n"


def pylsl() -> Any:
    """The module pylsl. Raises MissingExtra if it, or the library liblsl, is not installed."""
    known = "LSLAPICFG" in os.environ or any(Path(p).expanduser().exists() for p in SETTINGS)
    try:
        module = import_extra("pylsl", "lsl", "lsl")
    except RuntimeError as error:
        remedy = "install liblsl, and set PYLSL_LIB to its path"
        raise MissingExtra("lsl", got=f"no library liblsl ({error})"[:200], remedy=remedy) from None
    if not known and not hasattr(module, "_dendrostream"):
        module.set_config_content(SILENT)
        module._dendrostream = True
    return module
