"""Networks of spiking neurons that learn, one file each; the file name is the rule's name.

A file holds, in this order:

docstring     the equations of cells and synapses; a paragraph ``Source:``
`PHASES`      the names of the phases of every sample
`FIRING`      the default `cells.Firing` of the rule
`Settings`    NamedTuple of learning rates and other options of the rule
`parameters(sizes, settings, seed)`        {projection: initial weights (n_target, n_source)}
`rates(sizes, settings)`                    {plastic projection: its learning rate}
`build(make, sizes, settings, weights)`     builds the parts by a `cells.Builder`; returns `Answer`

Plasticity is written as equations of Brian 2 synapses, with variables of the presynaptic and the
postsynaptic cell only.
"""
