"""The machine on which a measurement ran."""

from __future__ import annotations

import contextlib
import platform
from importlib.metadata import PackageNotFoundError, version


def machine() -> dict[str, str]:
    """Processor, system, and the versions of Python and the computing packages."""
    system = f"{platform.system()} {platform.machine()}"
    about = {"cpu": _cpu(), "system": system, "python": platform.python_version()}
    for package in ("dendrostream", "numpy", "numba", "torch"):
        with contextlib.suppress(PackageNotFoundError):
            about[package] = version(package)
    return about


def _cpu() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
