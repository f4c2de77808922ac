"""Default options of a run and of a learner, which suit the rule and the input.

`rate_models.defaults` has the formula of the learning rate. It depends on P, the mean square of the
input of the network. P is

- 1 with ``scale`` running or global, which normalise the input;
- `Source.power`, if the source knows it in advance;
- otherwise measured: before the run, over the first `MEASURED` samples of a source that can be read
  again; for other sources while the network learns (`streaming.learner.following`).
"""

from __future__ import annotations

import numpy as np

from rate_models import defaults, rules
from rate_models.errors import BadOption, UserError
from rate_models.network import NetworkSpec
from rate_models.support import own_files
from streaming.learner import implementation
from streaming.learner.following import MEASURED, OF_ONE, Power
from streaming.options import RunOptions
from streaming.samples.scaling import Scaler
from streaming.sources import LiveSource, Source


def power_of(source: Source, scale: str) -> float | None:
    """P of a source with this scaling; None if it can only be measured while the network learns.

    Bad rows are left out. P is 1 if there are no good rows.
    """
    if scale in OF_ONE:
        return 1.0
    factor = source.maximum if scale == "range" else 1.0
    if (known := source.power) is not None:
        return float(known) / factor**2
    if source.length is None:
        return None
    measured, scaler = Power(), Scaler(scale, source.n_features, source.maximum)
    try:
        for X, _ in source.chunks(0, size=MEASURED):
            rows = np.asarray(X, np.float64)
            good = rows[(np.abs(rows) < 1e100).all(axis=1)]
            measured.add(scaler.transform(good))
            if measured.done:
                break
    except (UserError, TypeError, ValueError):
        pass  # the run reaches the same error and reports it
    return measured.value


def options(config: RunOptions, source: Source) -> dict[str, float]:
    """Default {"lr": η, ...} for rule and source, with the rates that depend on it.

    Empty if P can only be measured while the network learns, or if the classes can.
    config: as `RunConfig.resolved` returns it, but without the rate.
    """
    power = power_of(source, str(config.scale))
    if power is None or (config.classes == "grow" and isinstance(source, LiveSource)):
        return {}
    momentum = config.settings.get("momentum", 0)
    if not isinstance(momentum, int | float) or not 0 <= momentum < 1:
        momentum = 0  # refused when the network is built
    rule = implementation.rule_of(config.rule, config.circuit)
    labels = source.classes is not None
    how = _spec(config, source), labels, power, momentum, config.settings
    return defaults.options(rule, *how)


def _spec(config: RunOptions, source: Source) -> NetworkSpec:
    """The network of a resolved configuration; only what the rate depends on."""
    assert config.hidden is not None
    outputs = source.outputs
    sizes = (source.n_features, *config.hidden, outputs)
    return NetworkSpec(sizes, loss=config.settings["loss"])


def scale_of(config: RunOptions, source: Source) -> str:
    """The input scaling: as given by the option, else by the rule, else by the source.

    A source that prefers "running" or "global" comes before the rule.
    """
    rule = implementation.rule_of(config.rule, config.circuit)
    own = None if source.scale in OF_ONE else rule.defaults.scale
    return config.scale or own or source.scale


def check_task(config: RunOptions, source: Source) -> None:
    """Raise BadOption if the targets are numbers and the rule has no squared error."""
    rule = implementation.rule_of(config.rule, config.circuit)
    if source.classes is not None or "mse" in rule.losses or "loss" in config.settings:
        return
    able = [one for one in rules.names() if "mse" in rules.get(one).losses]
    raise BadOption(
        f"loss of {rule.name}",
        got="numbers to learn" + (" (--target input)" if config.target == "input" else ""),
        expected=f"labels, as its losses are {' and '.join(rule.losses)}",
        remedy=f"rules that learn numbers: {', '.join(able)}",
    )


def line(given: RunOptions, resolved: RunOptions, source: Source) -> str:
    """One line with the defaults that were chosen, and why; empty if all options were given."""
    rule = implementation.rule_of(resolved.rule, resolved.circuit)
    suits, settings = rule.defaults, resolved.settings
    chosen = []
    if given.lr is None and resolved.lr is None and resolved.scale in OF_ONE:
        chosen.append("lr by the number of classes so far")
    elif given.lr is None and resolved.lr is None:
        chosen.append(f"lr by the first {MEASURED} samples")
    elif given.lr is None and "lr" in source.defaults:
        chosen.append(f"lr {resolved.lr:g}, which suits {own_files.shown(source.name)}")
    elif given.lr is None:
        power = power_of(source, str(resolved.scale)) or 1.0
        how = rule, _spec(resolved, source), source.classes is not None, power
        less = defaults.slower(rule, settings)
        factor = f"{less:g} x " if less != 1 else ""
        chosen.append(f"lr {resolved.lr:g} ({factor}{defaults.formula(*how)})")
    for name in ("activation", "loss"):
        if name not in given.settings:
            chosen.append(f"{name} {settings[name]}")
    if given.scale is None:
        whose = rule.name if resolved.scale == suits.scale else own_files.shown(source.name)
        chosen.append(f"scale {resolved.scale} ({whose})")
    if settings.get("decay_at") and not given.settings.keys() & {"decay_at", "decay_epochs"}:
        chosen.append(f"decay_at {settings['decay_at']}")
    return f"chosen: {', '.join(chosen)}" if chosen else ""
