"""The configuration of a run: defaults that suit the source, and validation of options."""

from __future__ import annotations

from typing import Any

import pytest

from rate_models.errors import BadOption
from streaming.runs.config import RunConfig, parse_settings


def test_the_rate_decays_as_the_source_or_the_user_sets_it() -> None:
    digits = RunConfig.checked()
    source = digits.open()
    assert source.length is not None
    config = digits.resolved(source)
    assert (config.epochs, config.hidden) == (12, (256,))
    assert config.settings["decay_at"] == [8 * source.length]
    shorter = RunConfig.checked(epochs=3).resolved(source)
    assert shorter.settings["decay_at"] == [2 * source.length]
    chosen = RunConfig.checked(settings={"decay_epochs": [1, 2.5]}).resolved(source)
    assert chosen.settings["decay_at"] == [source.length, round(2.5 * source.length)]
    never = RunConfig.checked(settings={"decay_epochs": []}).resolved(source)
    assert never.settings["decay_at"] == []
    counted = RunConfig.checked(settings={"decay_at": [7]}).resolved(source)
    assert counted.settings["decay_at"] == [7]


def test_other_sources_learn_for_one_epoch_at_a_constant_rate() -> None:
    config = RunConfig.checked(source="synthetic:samples=1500")
    resolved = config.resolved(config.open())
    assert (resolved.epochs, resolved.settings["decay_at"]) == (1, [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "--epochs: got 0"),
        ({"lr": -1.0}, "--lr: got -1.0"),
        ({"lr": float("nan")}, "--lr: got nan"),
        ({"accuracy": 96}, "--accuracy: got 96"),
        ({"hidden": (8, 0)}, "--hidden: got 0"),
        ({"dtype": "float16"}, "--dtype: got float16"),
        ({"save_every": 0}, "--save-every: got 0"),
    ],
)
def test_options_are_validated(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption) as caught:
        RunConfig.checked(**options)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["momentum", "=1", "lr=0.1", "seed=3"])
def test_malformed_settings_are_refused(text: str) -> None:
    with pytest.raises(BadOption, match="--set"):
        parse_settings([text])
