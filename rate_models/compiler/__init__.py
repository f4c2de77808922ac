"""How Python functions become machine code: flags, cache, and which arguments a kernel accepts.

Open `kernel` first: the decorators `kernel`, `stage` and related ones. `cache` keeps what was
compiled, `stages` compiles a part of a kernel alone, `symbols` lets kernels call what they share,
which `helper` compiles in a second process, `vectors` has stages on vectors, `records` hands arrays
to kernels, `atomics` has the counters by which threads wait for each other.
"""
