"""Doctests are collected from every module; those of an extra that is missing are left out.

Property tests try the same examples at every run, so that a failure is the change's own; with
``HYPOTHESIS_PROFILE=search`` they look for new ones.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# Kernels compile without a second process: the tests themselves take every processor.
os.environ.setdefault("DENDROSTREAM_HELPER", "0")

collect_ignore = [
    path
    for path, module in (
        ("rate_models/batch", "torch"),
        ("biocircuits/spiking", "brian2"),
        ("dendrostream/river.py", "river"),
        ("docs/libraries.md", "river"),
    )
    if find_spec(module) is None
]
