"""Doctests are collected from every module; those of an extra that is missing are left out."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [
    folder
    for folder, module in (("rate_models/batch", "torch"), ("biocircuits/spiking", "brian2"))
    if find_spec(module) is None
]
