"""What live sources share: a bounded queue, a reader thread, labels that come late, latency.

Open `source` first: `LiveSource` is the base of all live sources. `batch` has the samples as they
arrive, `bounded` the queue with its policies, `waiting` the samples whose labels come later,
`latency` and `counts` the numbers that a run reports, `reconnecting` the back-off. `lines` and
`messages` convert bytes to samples, `schema` describes what a sample has to look like.
`connections` has what sources and sinks share.
"""
