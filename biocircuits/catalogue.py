"""The circuit files in `biocircuits.circuits`, in installed packages and by path."""

from __future__ import annotations

from biocircuits.description.circuit_file import CircuitFile
from rate_models.support import lookup

CIRCUITS = lookup.Kind(
    "circuit", "biocircuits.circuits", "CIRCUIT", CircuitFile,
    "CIRCUIT = CircuitFile(__name__, ...) at its end",
)  # fmt: skip


def load(name: str) -> CircuitFile:
    """What the file of a circuit states, by its name or path.

    Raises what `lookup.get` raises.

    >>> load("pepita").definition.name
    'pepita'
    """
    return lookup.get(CIRCUITS, name)


def reference(circuit: CircuitFile) -> str:
    """What runs and checkpoints name a circuit by: its name, or path and digest of its file."""
    return lookup.reference(CIRCUITS, circuit.module, f"circuit {circuit.name}")
