"""dendrostream: networks of two-compartment neurons that learn from a stream, sample by sample.

``python -m dendrostream`` is the command line. The parts are packages of their own:
`rate_models`, `biocircuits`, `streaming`.
"""
