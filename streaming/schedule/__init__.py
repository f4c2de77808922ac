"""Schedules: which worker does what when, planned before anything runs.

A rule says what the work items of a sample are and which arrays each reads and writes
(`rate_models.rules.Task`). From that alone follows who waits for whom; no rule is known by name.

    S(t,l)  standard pass of sample t through layer l
    E(t)    error at the output
    M(t,l)  teaching signal (PEPITA: modulated pass) and update of layer l

PEPITA, three layers, one sample per update, two workers, a unit of time per column:

    worker 1   S1 S2 S3 M1 M2 M3 S3'M1'M2'M3'S3" ...      ' the next sample
    worker 2               S1'S2'      S1"S2"

S(t+1,1) waits for M(t,1) and for nothing above it: every layer sees the order of the sequential
schedule, so the result is the same to the last bit, and N samples take 2L + (N-1)(L+1) units
instead of 2LN.

`items`         the meaning of a schedule: the order in which one worker would do it all
`dependencies`  who waits for whom in that order
`placing`       list scheduling, compiled
`planner`       `plan`: several plans are laid out, the shortest is kept
`plan`          `Plan`, its figures; `closed_form` has those that a formula gives
`program`       a plan as the int64 arrays that a runner's workers walk
`pictures`      Gantt charts
`measuring`     a plan as it runs in threads (`streaming.threads`), beside one thread

For a runner: `program(plan)` lists for each worker its items in order, and for each item the
counters that it waits for and the one that it sets; `Plan.slots` says how many samples' places each
array needs at least. A worker that obeys the waits may be as slow or fast as it likes: the result
is that of `items`, one after another. E(t) computes e and δ_L; S(t,1) takes in x and y.

Source: the remark on layer-wise updates in Dellaferrera & Kreiman, ICML 2022, section 5.
"""
