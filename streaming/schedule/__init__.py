"""Schedules: which worker executes which work item when, planned before anything runs.

A rule declares the work items of a sample and the arrays that each of them reads and writes
(`rate_models.rules.Task`). All dependencies between items are derived from these declarations; no
rule is known by name.

    S(t,l)  standard pass of sample t through layer l
    E(t)    error at the output
    M(t,l)  teaching signal (PEPITA: modulated pass) and update of layer l

PEPITA, three layers, one sample per update, two workers, a unit of time per column:

    worker 1   S1 S2 S3 M1 M2 M3 S3'M1'M2'M3'S3" ...      ' the next sample
    worker 2               S1'S2'      S1"S2"

S(t+1,1) waits for M(t,1) and for no layer above it. Every layer sees the order of the sequential
schedule, so the result is the same to the last bit, and N samples take 2L + (N-1)(L+1) units
instead of 2LN.

`items`         the definition of a schedule: the order in which one worker executes all items
`dependencies`  which items wait for which, in that order
`placing`       list scheduling, compiled
`planner`       `plan` makes several plans and returns the shortest
`plan`          `Plan` and its figures; `closed_form` has formulas for some of them
`program`       a plan as int64 arrays, which the workers of a runner execute
`locking`       refuses schedules that cannot overlap samples, or cannot be executed
`pictures`      Gantt charts

For a runner, `program(plan)` lists the items of each worker in order. For each item it has the
counters that the item waits for and the one that it sets. `Plan.slots` is how many buffer slots for
samples each array needs. As long as workers obey the waits, their speed does not change the result,
which is that of `items` executed one after another. E(t) computes e and δ_L; S(t,1) reads x and y.
`streaming.threads` has the runner, and compares a plan with its execution.

Source: the remark on layer-wise updates in Dellaferrera & Kreiman, ICML 2022, section 5.
"""
