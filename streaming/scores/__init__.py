"""Scores of a stream by test-then-train: each sample is predicted before it is learned.

Start with `evaluate`. `metrics` has the running scores, `regression` those of a regression.
"""
