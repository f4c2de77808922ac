"""Execution of schedules in several threads; no other code of the project starts threads.

Open `network` first, which has `ScheduledNetwork`, then `waiting`, which keeps the samples in
flight between two calls, and `runner`, which starts the workers. `kernels` is the compiled loop of
one worker, `team` lets threads share the rows of a layer. `trials` finds the fastest execution
mode, `measuring` compares threads with one thread.
"""
