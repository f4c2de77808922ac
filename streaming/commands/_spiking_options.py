"""What can be asked of ``dendrostream spiking``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from streaming.options import Data
from streaming.records import Checked, Option


class SpikingOptions(Checked):
    """Which network is shown which samples, as which neurons, and what is written."""

    checkpoint: Annotated[
        Path | None,
        Option(
            "Convert this checkpoint of a run  [default: train a network first: 64-HIDDEN-10, "
            "PEPITA, eight epochs]",
            metavar="FOLDER",
        ),
    ] = None
    source: Annotated[
        str, Option("Whose held-out samples are shown; see `dendrostream sources`.")
    ] = "digits"
    samples: Annotated[int, Option("Held-out samples to show, one after another.")] = 200
    hidden: Annotated[int, Option("Hidden units of the network to train.")] = 128
    presentation: Annotated[int, Option("Milliseconds that each sample is shown.")] = 1000
    peak: Annotated[float, Option("Rate in Hz that stands for a high value.")] = 200.0
    inputs: Annotated[
        Literal["poisson", "regular", "current"],
        Option("Input as Poisson trains, regular trains or injected current."),
    ] = "regular"
    readout: Annotated[
        Literal["spikes", "membrane"], Option("What of the output neurons is read.")
    ] = "spikes"
    floor: Annotated[
        float | None,
        Option(
            "Percentile of the output's values at which it is silent. Given, the "
            "first spike is read too; 50 suits it  [default: the lowest]"
        ),
    ] = None
    cells: Annotated[int, Option("Neurons that stand for one unit.")] = 1
    dt: Annotated[float, Option("Step of the simulation in ms.")] = 0.25
    mode: Annotated[
        Literal["auto", "runtime", "cpp_standalone"],
        Option(
            "runtime: step by step from Python; cpp_standalone: as one C++ program; "
            "auto: the program, where there is a compiler."
        ),
    ] = "auto"
    seed: Annotated[int, Option("Of the network, its samples and all spikes.")] = 0
    data: Data = None
    nwb: Annotated[bool, Option("Write spikes and traces as NWB.")] = False
    nir: Annotated[bool, Option("Write the network as NIR.")] = False
    out: Annotated[Path, Option("Folder for pictures and files.")] = Path("runs/spiking")
