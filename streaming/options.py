"""All options of a run, in one list.

Every field of `RunOptions` is an option. Pydantic defines its name, type, range and default; an
`Option` in its annotation holds the rest. The class that declares an option decides who gets it:

- `LearnerOptions`: the learner, as the argument of the same name;
- `StreamOptions`: the loop of the run;
- `SourceOptions`: the source, and the learner if it has an argument of the same name;
- `TableOptions` (in `streaming.table_options`): sources that read tables;
- `LiveOptions` (in `streaming.live_options`): sources whose samples arrive while the run goes on.

Everything else is derived from these fields: the options of ``dendrostream run`` and ``dendrostream
sweep``, `streaming.runs.config.RunConfig` with the ``config.json`` of a run, the options stored in
a checkpoint, what a sweep can vary, and what a run inherits that goes on from another run. To add
an option, add a field.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt
from pydantic_core import PydanticCustomError

from rate_models.errors import BadOption
from streaming.live_options import LiveOptions
from streaming.records import Checked, Option, listed_values, parse_sizes
from streaming.table_options import TableOptions

# Options that other commands share.
Data = Annotated[
    Path | None,
    Option("Folder of data sets  [default: DENDROSTREAM_DATA, else user's cache]", decides=False),
]
Download = Annotated[
    bool, Option("Download a missing data set (needs the extra vision).", decides=False)
]
Batch = Annotated[
    PositiveInt, Option("Samples per update, streamed through the layers.", inherited="fixed")
]
Count = Annotated[int, Field(gt=0, lt=2**63)]


def _sizes(value: Any) -> Any:
    """The text ``256,128`` as sizes; a single number as one size."""
    if isinstance(value, int):
        return (value,)
    try:
        return parse_sizes(value) if isinstance(value, str) else listed_values("hidden", value)
    except BadOption:
        raise PydanticCustomError("sizes", "Input should be sizes, e.g. 256,128") from None


def _names(value: Any) -> Any:
    """A single text as one name."""
    return (value,) if isinstance(value, str) else listed_values("record", value)


def _steps(value: Any) -> Any:
    """A single text as one step."""
    return (value,) if isinstance(value, str) else listed_values("signal", value)


class LearnerOptions(Checked):
    """Arguments of the learner.

    ``None`` selects a default that suits the rule and the source. The defaults of ``rule`` and
    ``dtype`` are pepita and float32, or those of the ``circuit``.
    ``schedule``, ``workers`` and ``batch`` are described in `streaming.threads.network`.
    ``settings`` holds hyperparameters of rule, network and optimiser, and settings of the circuit.
    """

    rule: Annotated[
        str | None,
        Option(
            "Learning rule; see `dendrostream rules`  [default: pepita, or the circuit's]",
            inherited="fixed",
        ),
    ] = None
    circuit: Annotated[
        str | None,
        Option(
            "Learn as a circuit of neurons with compartments: pepita, bmvr, "
            "node_perturbation, ...; options by --set: mode=continuous, phase=80, "
            "cut=PROJECTION, silence=POPULATION, dale=true, low=-1, high=1, bits=4, asymmetry=0.1.",
            inherited="fixed",
        ),
    ] = None
    hidden: Annotated[
        tuple[PositiveInt, ...] | None,
        BeforeValidator(_sizes),
        Option("Sizes of the hidden layers: 256,128  [default: 256]", text=str, inherited="fixed"),
    ] = None
    lr: Annotated[
        float | None, Field(gt=0), Option("Learning rate  [default: from rule, network and input]")
    ] = None
    classes: Annotated[
        Literal["grow"] | None,
        Option(
            "grow: labels are not known beforehand, an output unit is added when one appears "
            " [default: a unit for each label of the source]",
            inherited="fixed",
        ),
    ] = None
    dtype: Annotated[
        Literal["float32", "float64"] | None,
        Option(
            "Precision of all numbers  [default: float32; circuits: float64]", inherited="fixed"
        ),
    ] = None
    scale: Annotated[
        Literal["none", "range", "running", "global"] | None,
        Option(
            "Input scaling. none; range: divide by the largest possible value; running: zero "
            "mean and unit variance of each feature, by running estimates; global: the same by "
            "one estimate for all features  [default: what suits rule and source]",
            inherited="fixed",
        ),
    ] = None
    schedule: Annotated[
        str,
        Option(
            "sequential: one sample after the other; pipelined: the next sample enters a layer "
            "as soon as that layer is updated, bit-identical to sequential; delayed:3: the "
            "modulated pass of a sample runs after the standard passes of 3 more samples, through "
            "the weights of its own standard pass; delayed:3:current: through the current weights.",
            inherited="fixed",
        ),
    ] = "sequential"
    workers: Annotated[PositiveInt, Option("Threads that share the layers.", inherited="fixed")] = 1
    batch: Batch = 1
    settings: Annotated[
        dict[str, Any],
        Option(
            "Any hyperparameter of rule, circuit, network or optimiser, e.g. momentum=0.9, "
            "weight_decay, decay_epochs=[8], decay_at=[10000] (samples), decay_factor, bias=true, "
            "activation=tanh, loss=mse, target_scale=none (of a regression). Repeatable.",
            flag="--set",
            text=list[str],
            metavar="NAME=VALUE",
        ),
    ] = Field(default_factory=dict)


class StreamOptions(Checked):
    """What is streamed, when the run ends, and what it writes while it runs.

    ``samples``, ``seconds`` (of streaming) and ``accuracy`` (windowed, in 0..1, tested whenever a
    metrics line is written) end a run early. ``interval`` and ``save_every`` count the samples
    between metrics lines and between checkpoints. ``record`` names diagnostics that are written
    with every metrics line. ``drift_detector`` watches the errors of a classification, see
    `streaming.scores.drift_detector`. ``target`` selects what is learned: the source's labels or
    its input.
    """

    source: Annotated[str, Option("Where samples come from; see `dendrostream sources`.")] = (
        "digits"
    )
    target: Annotated[
        Literal["label", "input"],
        Option(
            "What is learned: the label, or the input itself (an autoencoder).", inherited="fixed"
        ),
    ] = "label"
    epochs: Annotated[
        Count | None,
        Option("Passes over the source  [default: 1; digits: 12]", inherited="fresh"),
    ] = None
    samples: Annotated[Count | None, Option("Stop after this many samples.", inherited="fresh")] = (
        None
    )
    seconds: Annotated[
        float | None,
        Field(gt=0),
        Option("Stop after this many seconds of streaming.", inherited="fresh"),
    ] = None
    accuracy: Annotated[
        float | None,
        Field(gt=0, le=1),
        Option("Stop when the last 1,000 samples reach this accuracy (0 to 1).", inherited="fresh"),
    ] = None
    interval: Annotated[Count, Option("Samples between lines of metrics.jsonl.")] = 500
    save_every: Annotated[Count, Option("Samples between checkpoints.")] = 10_000
    record: Annotated[
        tuple[str, ...],
        BeforeValidator(_names),
        Option(
            "Diagnostic to write with every metrics line, and to draw: alignment_angle, "
            "sign_congruence, relative_error, weight_norms, teaching_angles, update_norms. "
            "Repeatable.",
            text=list[str],
            metavar="NAME",
        ),
    ] = ()
    drift_detector: Annotated[
        Literal["adwin", "page_hinkley"] | None,
        Option("Report when errors become more frequent: adwin, page_hinkley (extra river)."),
    ] = None


class SourceOptions(Checked):
    """Options of all sources.

    data: folder of the data sets (None: DENDROSTREAM_DATA, else the user's cache folder).
    download: download a missing data set through torchvision.
    seed: seed of the order of the training samples.
    on_bad: "raise" on a bad sample in a file, or "skip" it and count it.
    task: "regression" (labels are numbers) or "classification". None: the source knows it or
    guesses it (see `streaming.samples.task`).
    signal: steps between the source and the learner, in order; see `streaming.signals`.
    """

    seed: Annotated[
        int,
        Field(ge=0),
        Option("Seed of weights, order of samples, masks and noise.", inherited="fixed"),
    ] = 0
    task: Annotated[
        Literal["regression", "classification"] | None,
        Option(
            "Whether labels are numbers to predict or classes  [default: guessed from them]",
            inherited="fixed",
        ),
    ] = None
    on_bad: Annotated[
        Literal["raise", "skip"],
        Option("A bad sample (NaN, wrong length, ...): stop, or skip and count it."),
    ] = "raise"
    signal: Annotated[
        tuple[str, ...],
        BeforeValidator(_steps),
        Option(
            "Step between source and learner: standardise[:half_life=1000], window:50,hop=10, "
            "decimate:4, band_power:8-12+13-30,rate=250. Repeatable.",
            text=list[str],
            metavar="STEP",
            inherited="fixed",
        ),
    ] = ()
    data: Data = None
    download: Download = False


class RunOptions(TableOptions, SourceOptions, LiveOptions, LearnerOptions, StreamOptions):
    """All options of a run."""
