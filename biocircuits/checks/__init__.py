"""Does a circuit keep its contract? The checks behind ``dendrostream check`` of a circuit.

Open `circuit`.
"""

from biocircuits.checks.circuit import CHECKS, check_circuit

__all__ = ["CHECKS", "check_circuit"]
