"""The learner: takes labels, dicts and raw numbers, and trains a compiled network with them.

Start with `learner`, which has `OnlineLearner`. Its base classes are in `answers` (predictions and
scores), `facts` (attributes to read) and `stored` (checkpoints; `restoring` validates them).
`entry`, `inputs`, `labels`, `as_numbers` and `named` validate and convert the input. `arguments`
takes arguments from the record of options, `following` adapts the learning rate to the input, and
`implementation` builds the network and lets it grow.
"""
