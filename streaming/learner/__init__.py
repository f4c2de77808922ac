"""The learner: labels, dicts and raw numbers outside, a compiled network inside.

Open `learner` first: `OnlineLearner`. Its other sides are `answers` (predictions and scores),
`facts` (what can be read of it) and `stored` (checkpoints; `restoring` checks them). `entry`,
`inputs`, `labels`, `as_numbers` and `named` check what comes in, `following` lets the rate follow
the input, `realisation` chooses what learns.
"""
