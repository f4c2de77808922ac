"""Options of a run and of a learner where nothing is asked for: as suits the rule and the input.

`rate_models.defaults` has the formula of the learning rate. What it needs of the input, the mean
square P of what the network gets, is

- 1 with ``scale`` running or global, which make it so;
- what the source knows beforehand (`Source.power`);
- else measured: before a run, over the first `MEASURED` samples of a source that can be read again;
  of others while the network learns, see `streaming.learner.following`.
"""

from __future__ import annotations

import numpy as np

from rate_models import defaults, rules
from rate_models.errors import BadOption, UserError
from rate_models.network import NetworkSpec
from rate_models.support import own_files
from streaming.learner import realisation
from streaming.learner.following import MEASURED, OF_ONE, Power
from streaming.options import RunOptions
from streaming.samples.scaling import Scaler
from streaming.sources import Source


def power_of(source: Source, scale: str) -> float | None:
    """P of a source under this scaling; None where only learning can tell.

    Bad rows do not count; 1 where there is no good one.
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
        pass  # the run comes to it, and says what is wrong
    return measured.value


def options(config: RunOptions, source: Source) -> dict[str, float]:
    """{"lr": η} that suits rule and source, and what goes with it; empty where only learning can
    tell.

    config: `RunConfig.resolved` but for the rate.
    """
    power = power_of(source, str(config.scale))
    if power is None:
        return {}
    momentum = config.settings.get("momentum", 0)
    if not isinstance(momentum, int | float) or not 0 <= momentum < 1:
        momentum = 0  # refused when the network is built
    rule = realisation.rule_of(config.rule, config.circuit)
    labels = source.classes is not None
    how = _spec(config, source), labels, power, momentum, config.settings
    return defaults.options(rule, *how)


def _spec(config: RunOptions, source: Source) -> NetworkSpec:
    """The network of a resolved configuration, as far as the rate depends on it."""
    assert config.hidden is not None
    outputs = source.outputs
    sizes = (source.n_features, *config.hidden, outputs)
    return NetworkSpec(sizes, loss=config.settings["loss"])


def scale_of(config: RunOptions, source: Source) -> str:
    """The input scaling: what the person asks for, else the rule, else the source.

    A source whose features differ in kind (running) keeps its own.
    """
    rule = realisation.rule_of(config.rule, config.circuit)
    own = None if source.scale in OF_ONE else rule.defaults.scale
    return config.scale or own or source.scale


def check_task(config: RunOptions, source: Source) -> None:
    """BadOption where numbers are to be learned by a rule that has no squared error."""
    rule = realisation.rule_of(config.rule, config.circuit)
    if source.classes is not None or "mse" in rule.losses or "loss" in config.settings:
        return
    able = [one for one in rules.names() if "mse" in rules.get(one).losses]
    raise BadOption(
        f"loss of {rule.name}",
        got="numbers to learn" + (" (--target input)" if config.target == "input" else ""),
        expected=f"labels, as its losses are {' and '.join(rule.losses)}",
        remedy=f"rules that learn numbers: {', '.join(able)}",
    )


def line(asked: RunOptions, resolved: RunOptions, source: Source) -> str:
    """What was chosen for a run that did not say it, and why, on one line; empty where nothing."""
    rule = realisation.rule_of(resolved.rule, resolved.circuit)
    suits, settings = rule.defaults, resolved.settings
    found = []
    if asked.lr is None and resolved.lr is None:
        found.append(f"lr by the first {MEASURED} samples")
    elif asked.lr is None and "lr" in source.defaults:
        found.append(f"lr {resolved.lr:g}, which suits {own_files.shown(source.name)}")
    elif asked.lr is None:
        power = power_of(source, str(resolved.scale)) or 1.0
        how = rule, _spec(resolved, source), source.classes is not None, power
        less = defaults.slower(rule, settings)
        factor = f"{less:g} x " if less != 1 else ""
        found.append(f"lr {resolved.lr:g} ({factor}{defaults.formula(*how)})")
    for name in ("activation", "loss"):
        if name not in asked.settings:
            found.append(f"{name} {settings[name]}")
    if asked.scale is None:
        whose = rule.name if resolved.scale == suits.scale else own_files.shown(source.name)
        found.append(f"scale {resolved.scale} ({whose})")
    if settings.get("decay_at") and not asked.settings.keys() & {"decay_at", "decay_epochs"}:
        found.append(f"decay_at {settings['decay_at']}")
    return f"chosen: {', '.join(found)}" if found else ""
