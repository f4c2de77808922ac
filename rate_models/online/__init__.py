"""Networks that learn one sample at a time, in compiled kernels.

Open `network` first: `OnlineNetwork`. `kernel` is the loop over samples, `learned` what every
network that learns can hand out and take back.
"""

from rate_models.online.network import OnlineNetwork

__all__ = ["OnlineNetwork"]
