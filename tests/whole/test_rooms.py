"""The house: imports point down, no circles, no room with more files than a person can look at."""

from __future__ import annotations

import ast
from itertools import pairwise

import grimp
import pytest
from project import ROOT

PACKAGES = ("rate_models", "biocircuits", "streaming", "dendrostream", "dendrostream_demos")
# From the top down; those of one line know nothing of each other. What is not listed stands alone.
LAYERS = {
    "": [
        {"dendrostream", "dendrostream_demos"},
        {"streaming"},
        {"biocircuits"},
        {"rate_models"},
    ],
    "rate_models": [
        {"precompile", "catalogue", "checks", "diagnostics"},
        {"batch"},
        {"online", "defaults"},
        {"textbook"},
        {"rules"},
        {"kernels"},
        {"network"},
        {"model"},
        {"support"},
        {"compiler"},
        {"errors"},
    ],
    "biocircuits": [
        {"checks"},
        {"parity", "spiking"},
        {"drawing", "traces"},
        {"network"},
        {"simulation", "locality"},
        {"catalogue"},
        {"circuits"},
        {"description"},
    ],
    "streaming": [
        {"cli"},
        {"commands"},
        {"outlook"},
        {"progress", "benchmarks", "checks", "continual", "live_page", "spikes", "sweeps"},
        {"papers"},
        {"runs"},
        {"pictures"},
        {"learner", "cluster"},
        {"threads", "scores"},
        {"schedule"},
        {"sources", "sinks"},
        {"live"},
        {"options"},
        {"live_options"},
        {"tables"},
        {"samples"},
        {"signals", "events"},
        {"files"},
        {"machine", "terminal", "records"},
    ],
}
CROWDED = {
    "rate_models.rules",
    "streaming.commands",
    "streaming.sources",
    "dendrostream_demos",
    "dendrostream_demos.papers",
}
MOST = 13  # files of a room, beside its __init__


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def below(graph: grimp.ImportGraph, module: str) -> set[str]:
    return {module} | graph.find_descendants(module)


def crossings(graph: grimp.ImportGraph, upper: str, lower: str) -> list[str]:
    """Imports that point up: of a module of ``upper`` by one of ``lower``."""
    forbidden = below(graph, upper)
    return [
        f"{module} imports {found}"
        for module in sorted(below(graph, lower))
        for found in sorted(graph.find_modules_directly_imported_by(module) & forbidden)
    ]


@pytest.mark.parametrize("package", LAYERS)
def test_imports_point_down(graph: grimp.ImportGraph, package: str) -> None:
    layers = [[f"{package}.{name}".strip(".") for name in sorted(one)] for one in LAYERS[package]]
    wrong = []
    for i, layer in enumerate(layers):
        for upper in layer:
            beside = [other for other in layer if other != upper]
            for lower in beside + [name for deeper in layers[i + 1 :] for name in deeper]:
                wrong += crossings(graph, upper, lower)
    assert not wrong, "\n".join(wrong)


def test_no_circles(graph: grimp.ImportGraph) -> None:
    circles = [
        names
        for package in sorted(m for m in graph.modules if graph.find_children(m))
        if (names := circle(graph, package))
    ]
    assert not circles, circles


def circle(graph: grimp.ImportGraph, package: str) -> list[str]:
    """The children of a package that import each other in a circle, if there is one."""
    children = sorted(graph.find_children(package))
    imports = {
        one: {
            other
            for other in children
            if other != one
            and any(
                graph.find_modules_directly_imported_by(m) & below(graph, other)
                for m in below(graph, one)
            )
        }
        for one in children
    }
    while free := [one for one, found in imports.items() if not found & imports.keys()]:
        for one in free:
            del imports[one]
    return sorted(imports)


def test_rooms_are_small_and_documented(graph: grimp.ImportGraph) -> None:
    for room in sorted(m for m in graph.modules if graph.find_children(m)):
        files = [m for m in graph.find_children(room) if not graph.find_children(m)]
        assert room in CROWDED or len(files) <= MOST, (room, sorted(files))
        folder = ROOT.joinpath(*room.replace("dendrostream_demos", "demos").split("."))
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        assert text and len(text) > 40, room


def test_private_modules_stay_in_their_room(graph: grimp.ImportGraph) -> None:
    for module in sorted(graph.modules):
        room, _, name = module.rpartition(".")
        if name.startswith("_") and not name.startswith("__"):
            users = graph.find_modules_that_directly_import(module)
            assert users <= below(graph, room), (module, sorted(users - below(graph, room)))


def test_a_circle_and_an_import_that_points_up_are_detected() -> None:
    graph = grimp.ImportGraph()
    names = ("p", "p.a", "p.b", "p.c", "p.a.x")
    for name in names:
        graph.add_module(name)
    for one, other in pairwise(("p.a.x", "p.b", "p.c")):
        graph.add_import(importer=one, imported=other)
    assert circle(graph, "p") == [] and crossings(graph, "p.a", "p.b") == []
    graph.add_import(importer="p.c", imported="p.a.x")
    assert circle(graph, "p") == ["p.a", "p.b", "p.c"]
    assert crossings(graph, "p.a", "p.c") == ["p.c imports p.a.x"]
