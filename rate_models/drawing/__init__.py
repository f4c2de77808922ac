"""The style of our figures, independent of the user's matplotlib settings.

Open `style` first.
"""
