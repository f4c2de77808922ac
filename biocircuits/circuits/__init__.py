"""Circuits, one file each; the file name is the public name of the circuit.

A file ends in ``CIRCUIT = CircuitFile(__name__, ...)``, see `biocircuits.description.circuit_file`:
the rule whose algorithm it is, its own settings, and the function that builds the `Circuit`. A
circuit that is no rule of `rate_models` has a `rate_models.rules.Description` of its own. Open
`pepita` first.
"""
