"""Live streams whose labels are not known beforehand: the readout grows while they arrive."""

from __future__ import annotations

import json
import time
from pathlib import Path
from pipes import adds_up, rows, standard_input
from typing import Any

import numpy as np
import pytest

from rate_models.errors import BadOption, BadSample
from streaming import OnlineLearner
from streaming.live.schema import MOST_CLASSES, Malformed, Schema
from streaming.runs.going_on import go_on
from streaming.runs.run import Hooks, RunConfig, resume, run

SMALL: dict[str, Any] = {
    "source": "stdin", "hidden": 8, "lr": 0.01, "interval": 100, "save_every": 100,
    "classes": "grow",
}  # fmt: skip
QUIET = Hooks(draw=False)


def labelled(n: int, kinds: str = "abcd") -> tuple[np.ndarray, list[str]]:
    """Samples (n, 4) whose labels appear one after another."""
    X, _ = rows(n)
    k = [i % (1 + i * len(kinds) // n) for i in range(n)]
    return (X + [[j, -j, j * j, 1] for j in k]).round(4), [kinds[j] for j in k]


def csv(X: np.ndarray, y: list[str]) -> bytes:
    lines = [",".join([*map(str, x), str(label)]) for x, label in zip(X.tolist(), y, strict=True)]
    return "\n".join(["p,q,r,s,label", *lines, ""]).encode()


def piped(data: bytes | list[bytes], folder: Path, hooks: Hooks = QUIET, **options: Any) -> Any:
    with standard_input(data if isinstance(data, list) else [data]):
        return run(RunConfig.checked(**{**SMALL, **options}), folder, hooks)


def weights(folder: Path) -> list[np.ndarray]:
    return OnlineLearner.load(folder / "checkpoint").parameters()["W"]


def assert_same_weights(a: Path, b: Path) -> None:
    for one, other in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pipe_grows_as_the_same_file(tmp_path: Path) -> None:
    X, y = labelled(800)
    data = csv(X, y)
    (tmp_path / "t.csv").write_bytes(data)
    file = run(RunConfig.checked(**{**SMALL, "source": f"csv:{tmp_path / 't.csv'}"}),
               tmp_path / "file", QUIET)  # fmt: skip
    live = piped([data[:7000], data[7000:]], tmp_path / "pipe")
    assert live["classes"] == file["classes"] == list("abcd") and live["sizes"][-1] == 4
    assert live["live"]["learned"] == 800 and adds_up(live["live"])
    assert live["progressive_accuracy"] == file["progressive_accuracy"] > 0.7
    assert live["confusion"] == file["confusion"]
    assert_same_weights(tmp_path / "file", tmp_path / "pipe")


def test_late_labels_of_new_classes(tmp_path: Path) -> None:
    """The same learner as the plain loop: predict on arrival, learn when the label comes."""
    X, y = labelled(400)
    messages, late = list[dict[str, Any]](), 30
    for i, x in enumerate(X.tolist()):
        messages.append({"key": i, "x": x})
        if i >= late:
            messages.append({"key": i - late, "label": y[i - late]})
    out = tmp_path / "p.jsonl"
    data = "".join(json.dumps(m) + "\n" for m in messages).encode()
    summary = piped(data, tmp_path / "r", publish=str(out), rule="backprop", scale="none")
    live = summary["live"]
    assert (live["learned"], live["unlabelled"]) == (400 - late, late) and adds_up(live)
    learner, predicted = OnlineLearner(
        rule="backprop", sizes=(4, 8, 2), lr=0.01, dtype="float32", classes="grow"
    ), list[Any]()  # fmt: skip
    for i, x in enumerate(X):
        predicted.append(learner.predict_one(x))
        if i >= late:
            learner.learn_one(X[i - late], y[i - late])
    published = [json.loads(line)["prediction"] for line in out.read_text().splitlines()]
    assert published == predicted and predicted[: late + 1] == [None] * (late + 1)
    assert summary["classes"] == list(learner.classes or ()) == list("abcd")
    for one, other in zip(weights(tmp_path / "r"), learner.parameters()["W"], strict=True):
        np.testing.assert_array_equal(one, other)
    right = sum(p == k for p, k in zip(predicted[: 400 - late], y, strict=False))
    assert summary["progressive_accuracy"] == right / (400 - late)


@pytest.mark.parametrize("chosen", [{"lr": 0.01}, {"lr": None, "rule": "reinforce"}])
def test_a_resumed_run_goes_on_growing_bit_for_bit(chosen: dict[str, Any], tmp_path: Path) -> None:
    X, y = labelled(900, "3817")  # whole numbers, which appear out of order
    path = tmp_path / "t.csv"
    path.write_bytes(csv(X, y))
    options = {**SMALL, "source": f"follow:{path}", "samples": 900, **chosen}
    whole = run(RunConfig.checked(**options), tmp_path / "whole", QUIET)
    seen = [0]
    hooks = Hooks(watch=lambda this: seen.__setitem__(0, this.position),
                  stop=lambda: seen[0] >= 300, draw=False)  # fmt: skip
    stopped = run(RunConfig.checked(**options), tmp_path / "r", hooks)
    assert stopped["classes"] == [3, 8]
    resumed = resume(tmp_path / "r", QUIET)
    assert resumed["classes"] == whole["classes"] == [3, 8, 1, 7]
    assert resumed["live"]["learned"] == 900 and adds_up(resumed["live"])
    assert resumed["confusion"] == whole["confusion"]
    assert_same_weights(tmp_path / "r", tmp_path / "whole")


def test_a_learner_goes_on_with_a_live_stream_of_other_labels(tmp_path: Path) -> None:
    X, y = labelled(300, "ab")
    piped(csv(X, y), tmp_path / "one")
    X, y = labelled(300, "bxa")
    with standard_input([csv(X, y)]):
        summary = go_on(tmp_path / "one", {}, tmp_path / "two", QUIET)
    assert summary["classes"] == ["a", "b", "x"] and summary["live"]["learned"] == 300
    assert sum(map(sum, summary["confusion"])) == 300


def test_labels_named_beforehand_may_be_joined_by_others(tmp_path: Path) -> None:
    X, y = labelled(200, "abc")
    summary = piped(csv(X, y), tmp_path / "r", labels="b,NA")
    assert summary["classes"] == ["a", "b", "c"]
    stored = json.loads((tmp_path / "r" / "config.json").read_text())
    assert stored["labels"] == ["b", "NA"] and stored["classes"] == "grow"


def test_a_stream_that_never_has_a_label(tmp_path: Path) -> None:
    data = "".join(json.dumps({"x": x}) + "\n" for x in rows(30)[0].tolist()).encode()
    out = tmp_path / "p.jsonl"
    summary = piped(data, tmp_path / "r", Hooks(), publish=str(out))
    assert summary["classes"] == [] and summary["live"]["unlabelled"] == 30
    assert [json.loads(line)["prediction"] for line in out.read_text().splitlines()] == [None] * 30


def test_the_first_sample_is_not_kept_waiting(tmp_path: Path) -> None:
    def parts() -> Any:
        yield b"p,label\n1,a\n"
        time.sleep(0.8)
        yield b"2,b\n"

    begun = list[float]()
    hooks = Hooks(watch=lambda this: begun.append(time.monotonic()) if this.position else None,
                  draw=False)  # fmt: skip
    with standard_input(parts()):
        run(RunConfig.checked(**SMALL), tmp_path / "r", hooks)
    assert begun[-1] - begun[0] > 0.4  # the first was learned before the second arrived


# --- labels


def test_texts_of_whole_numbers_are_numbers() -> None:
    schema = Schema(1, (), grows=True)
    assert [schema.label_text(text) for text in ("3", "3.0", "-1", "cat", "007")] == [0, 0, 1, 2, 3]
    assert [schema.label(value) for value in (3, 3.0, "3", "cat", True, 5)] == [0, 0, 0, 2, 4, 5]
    assert schema.classes == (3, -1, "cat", "007", True, 5)
    assert schema.label_texts(["5", "", "cat"]).tolist() == [5, -1, 2]  # type: ignore[union-attr]
    assert schema.label_texts(["5", "dog"]) is None and "dog" not in (schema.classes or ())


@pytest.mark.parametrize(
    "odd", [0.5, float("nan"), 1e300, 2**70, "x" * 201, "NA", "0.5", "", [], 1]
)
def test_what_cannot_become_a_class(odd: Any) -> None:
    schema = Schema(1, (True,), grows=True)
    with pytest.raises(Malformed, match="got the label"):
        schema.label(odd)
    assert schema.classes == (True,)


def test_a_sender_cannot_let_the_network_grow_without_end(tmp_path: Path) -> None:
    schema = Schema(1, (), grows=True)
    for i in range(MOST_CLASSES):
        schema.label(f"name {i}")
    with pytest.raises(Malformed, match="expected one of the 1,000 so far"):
        schema.label("one more")
    assert schema.label("name 7") == 7 and len(schema.classes or ()) == MOST_CLASSES


def test_malformed_samples_bring_no_class(tmp_path: Path) -> None:
    X, y = labelled(200, "ab")
    bad = [b'{"x": [1, 2], "label": "new"}', b'{"x": [1, 2, 3, NaN], "label": "c"}',
           b'{"x": [1, 2, 3, 4], "key": [], "label": "d"}',
           b'{"x": [1, 2, 3, 4], "label": 0.5}']  # fmt: skip
    good = [json.dumps({"x": x, "label": k}).encode() for x, k in zip(X.tolist(), y, strict=True)]
    data = b"\n".join([*good[:50], *bad, *good[50:], b""])
    summary = piped(data, tmp_path / "r", on_bad="skip")
    assert summary["classes"] == ["a", "b"] and summary["live"]["malformed"] == len(bad)
    assert summary["live"]["learned"] == 200 and adds_up(summary["live"])
    with pytest.raises(BadSample, match=r"0\.5; expected a text or a whole number"):
        piped(b"\n".join([*good[:9], bad[-1], *good[9:]]), tmp_path / "s")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"record": ["weight_norms"]}, "--record"),
        ({"schedule": "delayed:2"}, "grow: got schedule"),
        ({"circuit": "pepita"}, "grow: got circuit"),
        ({"batch": 4}, "grow: got schedule"),
        ({"task": "regression", "rule": "backprop"}, "--classes"),
    ],
)
def test_what_cannot_grow_is_refused(
    options: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    X, y = labelled(20, "12")
    with pytest.raises(BadOption, match=expected):
        piped(csv(X, y), tmp_path / "r", **options)
    assert not (tmp_path / "r").exists()
