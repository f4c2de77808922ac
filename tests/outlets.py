"""An LSL outlet in a process of its own: a signal and markers, each named after ``id``.

python outlets.py ID CHANNELS RATE SAMPLES [FIRST]: waits for a reader of both, pushes the samples
at their rate, prints how many and waits for a line on standard input. The label of a sample is
its number // 50 % 3, as a marker with the time of the first sample that it holds for, sent 50
samples earlier.
"""

from __future__ import annotations

import sys
import time

import numpy as np

LABELS = ("rest", "left", "right")
EACH = 50  # samples for which a marker holds


def sample(i: int, channels: int) -> np.ndarray:
    """The sample with number i; the first channel has its number."""
    x = np.sin(np.arange(channels) * (1 + i // EACH % 3)) + 0.1 * np.cos(i * np.arange(channels))
    x[0] = i
    return x


def main(name: str, channels: int, rate: float, n: int, first: int) -> None:
    import pylsl

    pylsl.set_config_content("[log]\nlevel = -2\n")
    info = pylsl.StreamInfo(name, "EEG", channels, rate, "double64", f"{name} signal")
    signal = pylsl.StreamOutlet(info, chunk_size=1)
    info = pylsl.StreamInfo(f"{name}-markers", "Markers", 1, 0, "string", f"{name} markers")
    markers = pylsl.StreamOutlet(info)
    while not (signal.wait_for_consumers(0.1) and markers.wait_for_consumers(0.1)):
        pass
    time.sleep(0.2)  # until the inlets have opened
    start = pylsl.local_clock()
    for i in range(first, first + n):
        due = start + (i - first) / rate
        while (left := due - pylsl.local_clock()) > 0:
            time.sleep(left)
        for ahead in [0, EACH] if i == first else [EACH]:
            if i % EACH == 0:
                # a little before its sample: the clocks of two streams are corrected separately
                label = LABELS[(i + ahead) // EACH % 3]
                markers.push_sample([label], due + (ahead - 0.4) / rate)
        signal.push_sample(sample(i, channels), due)
    print(f"sent {n}", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, [*sys.argv[2:5], (sys.argv[5:] or ["0"])[0]]))
