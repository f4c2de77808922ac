"""The circuit files in `biocircuits.circuits`, by name."""

from __future__ import annotations

from biocircuits.description.circuit_file import CircuitFile
from rate_models.support import lookup

CIRCUITS = "biocircuits.circuits"


def load(name: str) -> CircuitFile:
    """What the file of a circuit states.

    Raises UnknownName, listing the circuits, and BadOption for a file that states none.

    >>> load("pepita").definition.name
    'pepita'
    """
    return lookup.stated(CIRCUITS, name, "CIRCUIT", CircuitFile)
