"""What a network has learned, and how its rule teaches it.

Open `measures` first: angles, norms, slowness. `fits` has laws fitted to curves, weights and
spectra, `plots` the figures, `recordables` what ``--record`` can write during a run.
"""
