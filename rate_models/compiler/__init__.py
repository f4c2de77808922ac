"""How kernels are compiled, kept, and handed their arrays. Open `records` for the last of these."""
