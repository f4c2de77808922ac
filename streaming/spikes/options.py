"""The options of ``dendrostream spiking``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from streaming.options import Data
from streaming.records import Checked, Option


class SpikingOptions(Checked):
    """The network, the samples to present, the neurons of the simulation, and the output."""

    checkpoint: Annotated[
        Path | None,
        Option(
            "Convert this checkpoint of a run  [default: train a network first: 64-HIDDEN-10, "
            "PEPITA, eight epochs]",
            metavar="FOLDER",
        ),
    ] = None
    source: Annotated[
        str, Option("Source of the held-out samples; see `dendrostream sources`.")
    ] = "digits"
    samples: Annotated[int, Option("Number of held-out samples to present.")] = 200
    hidden: Annotated[int, Option("Hidden units of the network to train.")] = 128
    presentation: Annotated[int, Option("Presentation time of each sample in ms.")] = 1000
    peak: Annotated[float, Option("Firing rate in Hz that represents a high value.")] = 200.0
    inputs: Annotated[
        Literal["poisson", "regular", "current"],
        Option("Input as Poisson trains, regular trains or injected current."),
    ] = "regular"
    readout: Annotated[
        Literal["spikes", "membrane"], Option("Decode spikes or membrane of the output neurons.")
    ] = "spikes"
    floor: Annotated[
        float | None,
        Option(
            "Percentile of the output values at which a neuron is silent. If given, the first "
            "spike is decoded too; 50 suits that  [default: the lowest value]"
        ),
    ] = None
    cells: Annotated[int, Option("Number of neurons per unit.")] = 1
    dt: Annotated[float, Option("Time step of the simulation in ms.")] = 0.25
    mode: Annotated[
        Literal["auto", "runtime", "cpp_standalone"],
        Option(
            "runtime: step by step from Python; cpp_standalone: as one C++ program; "
            "auto: cpp_standalone if there is a compiler."
        ),
    ] = "auto"
    seed: Annotated[int, Option("Seed of the network, its samples and all spikes.")] = 0
    data: Data = None
    nwb: Annotated[bool, Option("Write spikes and traces as NWB.")] = False
    nir: Annotated[bool, Option("Write the network as NIR.")] = False
    out: Annotated[Path, Option("Folder of figures and files.")] = Path("runs/spiking")
