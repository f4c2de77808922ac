"""The public face and the command, and where another distribution has packages of our names."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from project import ROOT

import dendrostream
from dendrostream import packages

# A test that needs torch or Brian 2 looks at these.
NEEDS_EXTRAS = () if find_spec("torch") and find_spec("brian2") else (
    *dendrostream._WHERE["rate_models.batch"], *dendrostream._WHERE["biocircuits.spiking"]
)  # fmt: skip


def command(site: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (site, ROOT)))
    return subprocess.run(
        [sys.executable, "-m", "dendrostream", "sources"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", packages.PARTS)
def test_another_package_of_our_name_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise RuntimeError('imported')")
    done = command(tmp_path, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {name}: got another package of this name, in {tmp_path / name}; expected "
        f"dendrostream's own, in {ROOT / name}; take the other one off PYTHONPATH, or install "
        "dendrostream into an environment of its own\n"
    )


def test_without_one_the_command_runs(tmp_path: Path) -> None:
    done = command(tmp_path, tmp_path)
    assert done.returncode == 0 and "digits" in done.stdout and done.stderr == ""


def test_our_own_packages_are_no_strangers() -> None:
    assert packages.foreign() == "" and packages.shared() == ""


def test_distributions_in_one_folder_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"streaming": ["dendrostream", "mosaicml-streaming", "dendrostream"]}
    monkeypatch.setattr(packages.importlib.metadata, "packages_distributions", lambda: owners)
    assert "streaming: got files of dendrostream and mosaicml-streaming in one" in packages.shared()


def test_the_face_has_what_its_modules_have() -> None:
    assert sorted(dendrostream._MODULE) == sorted(dendrostream.__all__) == dir(dendrostream)
    for name, module in dendrostream._MODULE.items():
        if name not in NEEDS_EXTRAS:
            assert getattr(dendrostream, name) is getattr(importlib.import_module(module), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        dendrostream.nothing  # noqa: B018


def test_the_face_imports_nothing_before_it_is_asked() -> None:
    code = "import sys, dendrostream; print(*(m for m in sys.modules if m.startswith('streaming')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "", done.stderr


def test_the_face_names_another_package_of_our_name(tmp_path: Path) -> None:
    (tmp_path / "streaming").mkdir()
    (tmp_path / "streaming" / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", "import dendrostream as ds; ds.OnlineLearner"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT)))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: streaming: got another package of this name, in"), last
