"""Networks and rules on torch: batches, any torch optimiser, CPU or GPU. Needs the extra ``torch``.

`BatchNetwork` is the twin of an `OnlineNetwork`, `fit` trains one, `fit_many` many seeds at once,
`Sgd` is our optimiser as a torch optimiser. Nothing here imports torch before one of them is asked
for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rate_models.errors import MissingExtra

if TYPE_CHECKING:
    from rate_models.batch.many import fit_many
    from rate_models.batch.network import BatchNetwork
    from rate_models.batch.optim import Sgd
    from rate_models.batch.train import fit

__all__ = ["BatchNetwork", "Sgd", "fit", "fit_many"]
_WHERE = {"BatchNetwork": "network", "Sgd": "optim", "fit": "train", "fit_many": "many"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        remedy = 'pip install "dendrostream[torch]"'
        raise MissingExtra("rate_models.batch", got="no torch", remedy=remedy) from error
