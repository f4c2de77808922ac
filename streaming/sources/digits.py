"""1,797 handwritten digits of 8 x 8 pixels, bundled with scikit-learn: no download.

Values 0 to 16, classes 0 to 9. UCI Optical Recognition of Handwritten Digits (Alpaydin & Kaynak
1998), its test part. The hold-out is that of scikit-learn's ``train_test_split(test_size=0.2,
stratify=y, random_state=0)``. The file is read without importing scikit-learn,
which would take a second.
"""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from rate_models.errors import MissingData
from streaming.sources import ArraySource, Options, SourceFile, no_argument


def open(argument: str | None, options: Options) -> ArraySource:
    no_argument("digits", argument)
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise MissingData(
            "digits", got="no scikit-learn, which holds them", remedy="pip install scikit-learn"
        )
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise MissingData("digits", got=f"no {path}", remedy="pip install -U scikit-learn")
    table = np.loadtxt(
        gzip.decompress(path.read_bytes()).decode().splitlines(), np.uint8, delimiter=","
    )
    return ArraySource(
        table[:, :-1],
        table[:, -1].astype(np.int64),
        name="digits",
        classes=range(10),
        seed=options.seed,
        scale="range",
        maximum=16.0,
        image_shape=(8, 8),
        defaults={"epochs": 12, "decay_after": (2 / 3,)},
    )


SOURCE = SourceFile(__name__, open=open)
