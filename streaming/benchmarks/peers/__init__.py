"""Other implementations of the rules, to compare with. `equations` first: all of them share it."""
