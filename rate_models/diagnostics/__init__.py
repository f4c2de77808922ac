"""Measures of trained networks and of learning rules.

Open `measures` first: angles and norms. `fits` fits laws to curves, weights and spectra, `plots`
draws figures, `recordables` lists what ``--record`` can write during a run.
"""
