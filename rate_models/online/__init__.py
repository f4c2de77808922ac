"""Networks that learn one sample at a time, in compiled kernels.

Open `network` first: `OnlineNetwork`. `configured` builds its arrays and changes its options,
`kernel` is the loop over samples, `parameters` reads and loads parameters and state. `textbook`
learns without a kernel, `former_states` reads states of earlier releases.
"""

from rate_models.online.network import OnlineNetwork

__all__ = ["OnlineNetwork"]
