"""Networks of spiking neurons that learn, one file each; the file name is the rule's name.

A file holds, in this order:

docstring     what the cells and the synapses do; a paragraph ``Source:``
`PHASES`      the names of the phases that every sample goes through
`FIRING`      `_cells.Firing`, its defaults of how cells fire
`Settings`    NamedTuple of learning rates and what else is the rule's own
`parameters(sizes, settings, seed)`        {projection: weights (n_target, n_source)} at the start
`rates(sizes, settings)`                    {plastic projection: its learning rate}
`build(make, sizes, settings, weights)`     the parts, by a `_cells.Builder`; returns `Answer`

All plasticity is in equations of Brian 2 synapses, which name variables of their own two ends.
"""
