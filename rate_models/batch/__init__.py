"""Networks and rules on torch: batches, any torch optimiser, CPU or GPU. Needs the extra ``torch``.

`BatchNetwork` is the counterpart of an `OnlineNetwork`. `ConvolutionalSpec` gives it convolutions;
`pepita_cnn` and `lansdell_cnn` are those of papers. `fit` trains one network, `fit_many` several
seeds at once. Within `joined` all processes of ``torchrun`` train one network. `Sgd` is our
optimiser as a torch optimiser. torch is imported when one of these names is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rate_models.errors import MissingExtra

if TYPE_CHECKING:
    from rate_models.batch.convolution import Convolution, ConvolutionalSpec
    from rate_models.batch.many import fit_many
    from rate_models.batch.models import lansdell_cnn, pepita_cnn
    from rate_models.batch.network import BatchNetwork
    from rate_models.batch.optim import Sgd
    from rate_models.batch.processes import joined
    from rate_models.batch.train import fit

__all__ = [
    "BatchNetwork",
    "Convolution",
    "ConvolutionalSpec",
    "Sgd",
    "fit",
    "fit_many",
    "joined",
    "lansdell_cnn",
    "pepita_cnn",
]
_WHERE = {
    "BatchNetwork": "network",
    "Convolution": "convolution",
    "ConvolutionalSpec": "convolution",
    "Sgd": "optim",
    "fit": "train",
    "fit_many": "many",
    "joined": "processes",
    "lansdell_cnn": "models",
    "pepita_cnn": "models",
}


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
