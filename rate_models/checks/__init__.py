"""Whether what is computed in several forms is the same in all of them.

Open `parity` first: every realisation against the textbook, after every sample.
"""
