"""Networks of spiking neurons that learn, one file each; the file name is the rule's name.

A file ends in ``CIRCUIT = SpikingFile(__name__, ...)``, see `biocircuits.spiking.spiking_file`. All
plasticity is in equations of Brian 2 synapses, which name variables of their own two ends. Open
`pepita` first.
"""
