"""Kernels of rules in files of one's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import guides
import numpy as np
import pytest

from rate_models import rules
from rate_models.compiler import foreign
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from rate_models.online.textbook import TextbookNetwork
from rate_models.rules import Properties, Rule
from rate_models.support import own_files

ALONE, WHOLE = guides.rule_files()


def test_a_textbook_network_is_the_kernel_up_to_rounding() -> None:
    from rate_models.model.optimizers import Optimizer
    from rate_models.online.network import OnlineNetwork

    spec, optimizer = NetworkSpec((6, 5, 4, 3), bias=True), Optimizer(0.02, 0.5, 1e-3, (10,))
    x, labels = np.random.default_rng(0).normal(size=(30, 6)), np.arange(30) % 3
    nets = [kind(spec, "pepita", seed=1, optimizer=optimizer, dropout=0.2)
            for kind in (OnlineNetwork, TextbookNetwork)]  # fmt: skip
    online, book = (net.learn(x, labels) for net in nets)
    np.testing.assert_allclose(online.outputs, book.outputs, atol=1e-12)
    np.testing.assert_allclose(online.losses, book.losses, atol=1e-12)
    assert online.predicted.tolist() == book.predicted.tolist()
    mine, theirs = (net.parameters() for net in nets)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        several = value if isinstance(value, list) else [value]
        others = theirs[name] if isinstance(value, list) else [theirs[name]]
        for a, b in zip(several, others, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


def kernel_digest(path: Path) -> str:
    """What the kernel cache knows of a rule's file."""
    net = OnlineNetwork(NetworkSpec((2, 2, 2)), rules.get(str(path)))
    return foreign.digest(net._kernel._cache._function)


def test_kernels_are_kept_by_the_content_of_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.py"
    found = []
    for text in (WHOLE, WHOLE.replace("scale * np.sign", "-scale * np.sign"), WHOLE + "# more\n"):
        path.write_text(text)
        found.append(kernel_digest(path))
    assert len(set(found)) == 3 and "" not in found
    path.write_text(WHOLE)
    assert kernel_digest(path) == found[0]
    assert foreign.digest(OnlineNetwork(NetworkSpec((2, 2)))._kernel._cache._function) == ""


def test_kernels_are_kept_by_what_their_file_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A helper that is installed: its functions and numbers, at any depth."""
    helper = tmp_path / "helper_of_mine.py"
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "mine.py"
    text = WHOLE.replace("scale * np.sign(", "helper_of_mine.factor(scale) * np.sign(")
    path.write_text(text.replace("import numpy as np", "import helper_of_mine\nimport numpy as np"))
    found = []
    for number, sign in ((1.0, ""), (2.0, ""), (1.0, "-")):
        helper.write_text(
            "from rate_models.compiler.kernel import stage\n"
            f"NUMBER = {number}\n"
            "@stage\ndef inner(x):\n    return x * NUMBER\n"
            f"@stage\ndef factor(x):\n    return {sign}inner(x)\n"
        )
        monkeypatch.delitem(sys.modules, "helper_of_mine", raising=False)
        own_files._modules.clear()  # as another process would
        found.append(kernel_digest(path))
    assert len(set(found)) == 3


LEARNED = """
import sys, warnings, numpy as np
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
net = OnlineNetwork(NetworkSpec((4, 3, 2)), sys.argv[1], seed=0)
net.learn(np.eye(4), [0, 1, 0, 1])
print(repr(net.parameters()["W"][0].tolist()))
"""


@pytest.mark.slow
def test_an_edited_file_never_runs_stale_kernels(tmp_path: Path) -> None:
    path, env = tmp_path / "mine.py", {**os.environ, "DENDROSTREAM_CACHE": str(tmp_path / "cache")}

    def learned() -> str:
        done = subprocess.run([sys.executable, "-c", LEARNED, str(path)], env=env,
                              capture_output=True, text=True, cwd=guides.ROOT)  # fmt: skip
        assert not done.returncode, done.stderr
        return done.stdout

    path.write_text(WHOLE)
    first, kept = learned(), len(list((tmp_path / "cache").rglob("*-*")))
    assert learned() == first and len(list((tmp_path / "cache").rglob("*-*"))) == kept
    path.write_text(WHOLE.replace("scale * np.sign", "-scale * np.sign"))
    assert learned() != first
    path.write_text(WHOLE)
    assert learned() == first


def test_a_rule_needs_both_halves_of_a_kernel() -> None:
    properties = Properties(1, False, True, True, "full")

    def batch(*_: Any) -> Any:
        yield

    with pytest.raises(BadOption, match="got no teach; expected teach and tasks, or neither"):
        Rule("mine", losses=("mse",), properties=properties, batch=batch, tasks=lambda *_: [])
