"""The learner: labels, dicts and raw numbers outside, a compiled network inside.

Open `learner` first: `OnlineLearner`. `entry`, `as_numbers` and `named` check what comes in,
`following` lets the rate follow the input, `realisation` chooses what learns, `restoring` checks
what was stored.
"""
