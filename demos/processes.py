"""One network learned by several processes with ``torchrun``, which add up the rule's updates.

Shows: each process takes its share of every batch. PEPITA's updates are summed over all processes
       before the step, as data-parallel training does with gradients. The accuracy after each epoch
       is that of one process; the weights are the same up to rounding.

           torchrun --nproc-per-node 2 -m dendrostream_demos.processes
           torchrun --nnodes 2 --nproc-per-node 4 --rdzv-endpoint HOST:29500 -m \\
               dendrostream_demos.processes --source mnist

       Without torchrun it is one process. Processes with a GPU each use it, through nccl.
From:  the batch form of PEPITA in Dellaferrera & Kreiman, ICML 2022
Score: bundled digits, 64-128-10, 20 epochs: accuracy 0.961 in one process and in two
Seed:  0
Run time: 3 seconds of one core, with two processes 10
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rate_models.batch import BatchNetwork, fit, joined
from rate_models.errors import UserError
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from streaming.sources import ArraySource, Options, open_source


def main(
    source: str = "digits",
    rule: str = "pepita",
    hidden: int = 128,
    epochs: int = 20,
    batch: int = 64,
    lr: float = 0.1,
    seed: int = 0,
    data: Path | None = None,
    weights: Path | None = None,
) -> float:
    """Train; returns the test accuracy. weights: file for the weights, as safetensors."""
    import torch

    arrays = open_source(source, Options(data=data))
    assert isinstance(arrays, ArraySource) and arrays.classes is not None
    (X, y), (X_test, y_test) = arrays.train_arrays(), arrays.test_arrays()
    X, X_test = X / arrays.maximum, X_test / arrays.maximum
    spec = NetworkSpec((X.shape[1], hidden, len(arrays.classes)))
    device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    with joined() as rank:

        def report(metrics: dict[str, float | None]) -> None:
            if rank == 0:
                print(f"epoch {metrics['epoch']}: accuracy {metrics['accuracy']:.4f}", flush=True)

        net = BatchNetwork(spec, rule, seed, device=device)
        sgd = Optimizer(lr=lr, momentum=0.9)
        history = fit(net, X, y, epochs=epochs, batch_size=batch, optimizer=sgd, x_test=X_test,
                      y_test=y_test, seed=seed, progress=report)  # fmt: skip
        if weights is not None and rank == 0:
            from safetensors.torch import save_file

            save_file({name: one.cpu() for name, one in net.state_dict().items()}, weights)
    return float(history[-1]["accuracy"] or 0)


if __name__ == "__main__":
    import typer

    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
