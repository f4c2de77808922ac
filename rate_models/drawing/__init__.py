"""How every figure of ours looks, whatever a person's matplotlib is set to.

Open `style` first.
"""
