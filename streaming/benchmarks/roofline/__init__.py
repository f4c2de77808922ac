"""The least time of a sample on this machine. `model` has the formulas, `limits` the machine,
`reached` how near our kernels are."""
