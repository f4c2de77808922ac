"""What is installed, what is imported, and whether the files that speak of it agree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from project import ROOT

LAYERS = ["rate_models", "biocircuits", "streaming", "dendrostream", "demos"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def imported(source: str) -> Iterator[tuple[int, str]]:
    """(line, top-level package) of every absolute import, also those inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.lineno, node.module.partition(".")[0]


def upward(layer: str, source: str) -> list[tuple[int, str]]:
    above = {*LAYERS[LAYERS.index(layer) + 1 :], "dendrostream_demos", "tests"}
    above -= {"dendrostream_demos"} if layer == "demos" else set()
    return [(line, name) for line, name in imported(source) if name in above]


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_down_only(layer: str) -> None:
    files = sorted((ROOT / layer).rglob("*.py"))
    assert files
    breaches = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files
        for line, name in upward(layer, path.read_text(encoding="utf-8"))
    ]
    assert not breaches


@pytest.mark.parametrize(
    ("layer", "source", "breaches"),
    [
        ("rate_models", "import streaming.runs.run as r", [(1, "streaming")]),
        (
            "biocircuits",
            "def f():\n    from dendrostream_demos import drift",
            [(2, "dendrostream_demos")],
        ),
        ("streaming", "from rate_models.rules import pepita\nimport numpy", []),
        ("demos", "from streaming import OnlineLearner", []),
    ],
)
def test_an_upward_import_is_detected(
    layer: str, source: str, breaches: list[tuple[int, str]]
) -> None:
    assert upward(layer, source) == breaches


def test_importing_the_packages_imports_nothing_heavy() -> None:
    heavy = [
        "torch",
        "brian2",
        "sklearn",
        "matplotlib",
        "xarray",
        "pynwb",
        "distributed",
        "pyarrow",
    ]
    code = (
        "import rate_models, biocircuits, streaming, streaming.cli, sys; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_every_folder_of_code_is_installed() -> None:
    folders = {path.parent.relative_to(ROOT) for n in LAYERS for path in (ROOT / n).rglob("*.py")}
    names = {".".join(folder.parts) for folder in folders}
    installed = PYPROJECT["tool"]["setuptools"]["packages"]
    assert {re.sub(r"^demos\b", "dendrostream_demos", name) for name in names} == set(installed)
    assert all((ROOT / name / "py.typed").is_file() for name in LAYERS)


def test_every_requirement_is_pinned() -> None:
    def names(requirements: list[str]) -> set[str]:
        found = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
        return {match[0].lower() for match in found if match}

    project = PYPROJECT["project"]
    wanted = names(sum(project["optional-dependencies"].values(), project["dependencies"]))
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all("==" in pin for pin in pins)
    assert wanted - {"dendrostream"} <= names(pins)


def test_numba_is_bounded_and_the_pinned_one_is_within() -> None:
    """The cache of kernels and the compiler of stages use what numba calls its own."""
    wanted = map(Requirement, PYPROJECT["project"]["dependencies"])
    (numba,) = (requirement for requirement in wanted if requirement.name == "numba")
    assert any(part.operator in ("<", "<=", "==", "~=") for part in numba.specifier)
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    (pinned,) = re.findall(r"^numba==(\S+)$", text, re.M)
    assert numba.specifier.contains(pinned)
    assert not numba.specifier.contains(f"{Version(pinned).major}.{Version(pinned).minor + 1}.0")


def test_the_changelog_opens_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[([^\]]+)\]", text, re.M)[0] == PYPROJECT["project"]["version"]


def test_the_readme_names_make_targets_that_exist() -> None:
    named = re.findall(
        r"(?:^|`)make ([a-z][a-z-]*)", (ROOT / "README.md").read_text(encoding="utf-8"), re.M
    )
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert {"run", "test"} <= set(named) <= set(targets)
