"""Diagnostics against closed forms, data of a known law, and the rules."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from networks import suited_network
from numpy.testing import assert_allclose

from rate_models import rules
from rate_models.diagnostics import fits, measures
from rate_models.diagnostics.measures import Link
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec, one_hot
from rate_models.rules import Draws
from rate_models.textbook import initial_parameters

RNG = np.random.default_rng(11)


def weights(*sizes: int) -> list[np.ndarray]:
    return [RNG.normal(size=(m, n)) for n, m in pairwise(sizes)]


def samples(spec: NetworkSpec, n: int = 50) -> tuple[np.ndarray, np.ndarray]:
    return RNG.normal(size=(n, spec.sizes[0])), one_hot(
        RNG.integers(spec.sizes[-1], size=n), spec.sizes[-1]
    )


def test_angles_of_known_arrays() -> None:
    a = RNG.normal(size=(5, 7))
    b = RNG.normal(size=(5, 7))
    b -= a * (a * b).sum() / (a * a).sum()
    assert measures.angle(a, a) == 0 and measures.angle(a, -3 * a) == 180
    assert measures.angle(a, b) == pytest.approx(90, abs=1e-12)
    small = 1e-7  # where the cosine rounds to 1
    turned = a / np.linalg.norm(a) + small * b / np.linalg.norm(b)
    assert measures.angle(a, turned) == pytest.approx(np.degrees(small), rel=1e-6)
    assert np.isnan(measures.angle(a, 0 * a))
    with pytest.raises(BadOption, match="one shape"):
        measures.angle(a, b.T)


@pytest.mark.parametrize("sizes", [(6, 4), (6, 5, 4), (6, 6, 6, 4), (6, 6)])
@pytest.mark.parametrize(("factor", "degrees"), [(1, 0), (0.1, 0), (-2, 180)])
def test_input_feedback_against_the_product(
    sizes: tuple[int, ...], factor: float, degrees: float
) -> None:
    W = weights(*sizes)
    product = np.linalg.multi_dot([*W[::-1], np.eye(sizes[0])])
    angles = measures.alignment_angle({"W": W, "F": factor * product.T})
    assert angles == {"F": pytest.approx(degrees, abs=1e-5)}


@pytest.mark.parametrize("forward", [False, True])
def test_feedback_from_the_layer_above(forward: bool) -> None:
    W = weights(6, 5, 3, 4)
    B = [w if forward else w.T for w in (W[1], -W[2])]
    want = {"B to layer 1": 0, "B to layer 2": 180}
    assert measures.alignment_angle({"W": W, "B": B}) == want
    pairs = measures.feedback_pairs({"W": W, "B": B})
    assert [measures.sign_congruence(w, b) for b, w in pairs.values()] == [1, 0]
    assert [measures.relative_error(w, b) for b, w in pairs.values()] == [0, 2]


@pytest.mark.parametrize("forward", [False, True])
def test_feedback_from_the_output(forward: bool) -> None:
    W = weights(6, 5, 3, 4)
    B = [b.T if forward else b for b in ((W[2] @ W[1]).T, -W[2].T)]
    angles = measures.alignment_angle({"W": W, "B": B})
    assert list(angles.values()) == pytest.approx([0, 180], abs=1e-5)


def test_a_hidden_layer_as_wide_as_the_output_is_not_ambiguous() -> None:
    W = weights(6, 5, 4)
    for rule in ("feedback_alignment", "direct_feedback_alignment"):
        (link,) = measures.rule_links(rule, 2)
        assert (link.below, link.above, link.forward) == (1, 2, False)
    assert measures.alignment_angle({"W": W, "B": [W[1].T]}) == {"B to layer 1": 0}


def test_ambiguous_shapes_are_refused_and_the_rule_declares_the_links() -> None:
    """For layers of equal size, direct and layered feedback have the same shapes."""
    W = weights(6, 4, 4, 4)
    params = {"W": W, "B": [W[1].T, W[2].T]}
    with pytest.raises(BadOption, match="rule_links"):
        measures.alignment_angle(params)
    links = measures.rule_links("feedback_alignment", 3)
    assert list(measures.alignment_angle(params, links).values()) == [0, 0]
    params["B"][0] = (W[2] @ W[1]).T
    links = measures.rule_links("direct_feedback_alignment", 3)
    assert list(measures.alignment_angle(params, links).values()) == [0, 0]


def test_feedback_that_fits_nothing_or_is_not_there() -> None:
    with pytest.raises(BadOption, match="no F and no B"):
        measures.alignment_angle({"W": weights(6, 4)})
    with pytest.raises(BadOption, match="which layers it joins"):
        measures.alignment_angle({"W": weights(6, 4), "F": np.zeros((5, 4))})


def test_pepita_may_add_its_error_at_a_hidden_layer() -> None:
    assert measures.rule_links("pepita", 3, inject=1) == [Link("F", None, 1, 3, False)]


@pytest.mark.parametrize("sizes", [(6, 4), (6, 5, 4), (6, 5, 7, 4)])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_backpropagation_is_the_gradient(sizes: tuple[int, ...], loss: str) -> None:
    spec = NetworkSpec(sizes, "tanh", loss=loss)
    params = initial_parameters(spec, "backprop", seed=0)
    x, y = samples(spec)
    deltas = measures.updates(spec, "backprop", params, x, y)
    truth = measures.true_gradient(spec, params, x, y)
    assert measures.teaching_angles(deltas, truth) == [0] * spec.layers


def test_the_gradient_is_that_of_the_loss() -> None:
    """Against differences of the mean loss."""
    spec = NetworkSpec((4, 3, 2), "tanh", loss="mse")
    params = initial_parameters(spec, "backprop", seed=0)
    x, y = samples(spec, 7)

    def loss(W: list[np.ndarray]) -> float:
        return float(((np.tanh(x @ W[0].T) @ W[1].T - y) ** 2).sum(axis=1).mean() / 2)

    for layer, found in enumerate(measures.true_gradient(spec, params, x, y)):
        assert found is not None
        for at in np.ndindex(*found.shape):
            up, down = ([w.copy() for w in params["W"]] for _ in range(2))
            up[layer][at] += 1e-6
            down[layer][at] -= 1e-6
            assert found[at] == pytest.approx((loss(up) - loss(down)) / 2e-6, abs=1e-8)


def test_feedback_alignment_with_the_transposes_is_backpropagation() -> None:
    spec = NetworkSpec((6, 5, 7, 4), loss="cross_entropy")
    params = initial_parameters(spec, "feedback_alignment", seed=0)
    x, y = samples(spec)
    truth = measures.true_gradient(spec, params, x, y)
    random = measures.updates(spec, "feedback_alignment", params, x, y)
    assert measures.teaching_angles(random, truth)[0] > 20
    params["B"] = [w.T.copy() for w in params["W"][1:]]
    assert set(measures.alignment_angle(params).values()) == {0}
    mine = measures.updates(spec, "feedback_alignment", params, x, y)
    assert measures.teaching_angles(mine, truth) == pytest.approx([0, 0, 0], abs=1e-5)


def test_pepita_teaches_as_feedback_alignment_does() -> None:
    """SPEC B: with standard activity and a small F, ΔW_1 is that of B = -s W_1 F."""
    spec = NetworkSpec((6, 5, 4))
    small = {"feedback_scale": 1e-6, "presynaptic": "standard"}
    params = initial_parameters(spec, "pepita", seed=0, **small)
    x, y = samples(spec)
    pepita = measures.updates(spec, "pepita", params, x, y, **small)
    adaptive = {**params, "B": [-params["W"][0] @ params["F"]]}
    alignment = measures.updates(spec, "feedback_alignment", adaptive, x, y)
    assert measures.teaching_angles(pepita, alignment) == pytest.approx([0, 0], abs=1e-3)


@pytest.mark.parametrize("rule", rules.names())
def test_updates_leave_the_parameters_alone(rule: str) -> None:
    definition = rules.get(rule)
    spec = suited_network(rule, NetworkSpec((6, 5, 7, 4), loss=definition.loss))
    params = initial_parameters(spec, rule, seed=0)
    before = initial_parameters(spec, rule, seed=0)
    x, y = samples(spec, 8)
    hyper = definition.hyperparameters()
    noise = [
        definition.noise.transform(hyper, RNG.random((8, n)))
        for n in definition.noise.widths(spec, hyper)
    ]
    deltas = measures.updates(spec, rule, params, x, y, Draws(None, noise or None))
    shapes = [delta.shape for delta in deltas if delta is not None]
    assert shapes and set(shapes) <= set(spec.shapes)
    for name, value in before.items():
        pairs = zip(value, params[name], strict=True) if isinstance(value, list) else [
            (value, params[name])
        ]  # fmt: skip
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)


def test_a_layer_without_update_has_no_angle() -> None:
    spec = NetworkSpec((6, 5, 5, 4))
    params = initial_parameters(spec, "pepita", seed=0, inject=1)
    x, y = samples(spec)
    deltas = measures.updates(spec, "pepita", params, x, y, inject=1)
    assert deltas[0] is None
    angles = measures.teaching_angles(deltas, measures.true_gradient(spec, params, x, y))
    assert np.isnan(angles[0]) and np.isfinite(angles[1:]).all()


def test_signals_through_feedback() -> None:
    W, e = RNG.normal(size=(4, 6)), RNG.normal(size=(20, 4))
    assert measures.signal_angle(2 * W.T, W, e) == pytest.approx(0, abs=1e-5)
    assert measures.signal_angle(-W.T, W, e) == pytest.approx(180, abs=1e-5)
    with_nothing = np.vstack([e, np.zeros((3, 4))])
    B = RNG.normal(size=(6, 4))
    wanted = np.mean([measures.angle(B @ row, W.T @ row) for row in e])
    assert measures.signal_angle(B, W, with_nothing) == pytest.approx(wanted)


def test_norms() -> None:
    W = weights(30, 20, 10)
    found = measures.weight_norms({"W": W})
    assert_allclose(found, [np.linalg.norm(w) for w in W], rtol=1e-14)


@pytest.mark.parametrize("s", [0.026, 0.336, 1.0, 4.243])
@pytest.mark.parametrize("scale", [1, 100])
def test_slowness_of_a_known_curve(s: float, scale: float) -> None:
    """A curve of the law that ends at its A, as the fit takes the largest value for it."""
    epochs = np.arange(1, 60)
    curve = scale * 0.9 * epochs / (s + epochs)
    curve[-1] = scale * 0.9
    law = fits.slowness(curve, chance=0.1 * scale)
    assert abs(law.A - 0.9 * scale) < 1e-12 and len(law.points) == 60
    assert law.s == pytest.approx(s, rel=0.01)
    grid = law.s * np.linspace(0.9, 1.1, 2001)
    residuals = law.A * epochs / (grid[:, None] + epochs) - curve
    best = grid[(residuals**2).sum(axis=1).argmin()]
    assert law.s == pytest.approx(best, rel=1e-4)


def test_slowness_takes_sixty_points() -> None:
    epochs = np.arange(1, 60)
    curve = epochs / (0.5 + epochs)
    longer = np.concatenate([curve, np.full(40, 5.0)])
    assert fits.slowness(longer, 0.1).s == fits.slowness(curve, 0.1).s
    for bad in ([], [np.nan, 0.5]):
        with pytest.raises(BadOption, match="accuracies"):
            fits.slowness(bad, 0.1)


def test_normal_weights_are_recovered() -> None:
    laws = fits.distribution_fits(RNG.normal(0.02, 0.003, size=(100, 200)))
    normal, t = laws["normal"], laws["t"]
    assert normal.parameters["mean"] == pytest.approx(0.02, abs=1e-4)
    assert normal.parameters["std"] == pytest.approx(0.003, rel=0.02)
    assert -1 < t.log_likelihood - normal.log_likelihood < 8  # and many degrees of freedom
    assert t.parameters["df"] > 30


def test_student_weights_are_recovered() -> None:
    laws = fits.distribution_fits(0.5 + 0.01 * RNG.standard_t(4, size=20_000))
    assert laws["t"].parameters == {
        "df": pytest.approx(4, rel=0.08),
        "loc": pytest.approx(0.5, abs=5e-4),
        "scale": pytest.approx(0.01, rel=0.03),
    }
    assert laws["t"].log_likelihood > laws["normal"].log_likelihood + 1000


def test_equal_weights_have_no_distribution() -> None:
    with pytest.raises(BadOption, match="not equal"):
        fits.distribution_fits(np.ones((3, 3)))


def test_the_constraint_of_white_activity() -> None:
    z = RNG.normal(size=(500, 6)) @ RNG.normal(size=(6, 6))
    assert fits.constraint_error(z) > 0.5
    white = z @ np.linalg.inv(np.linalg.cholesky(z.T @ z / len(z))).T
    assert fits.constraint_error(white) < 1e-12
    assert_allclose(fits.constraint_spectrum(white), np.ones(6), rtol=1e-12)
    # twice as large: C = 4 I, off by 3 in each of k directions
    assert fits.constraint_error(2 * white) == pytest.approx(3)
    values = fits.constraint_spectrum(z)
    assert (np.diff(values) < 0).all()
    assert values.sum() == pytest.approx((z**2).sum() / len(z))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_optimum_of_bmvr_is_reduced_rank_regression(k: int) -> None:
    """No W_1, W_2 of rank k does better; the closed form of the best ones does as well."""
    x, y = RNG.normal(size=(300, 8)) @ RNG.normal(size=(8, 8)), RNG.normal(size=(300, 5))
    y += x @ RNG.normal(size=(8, 5)) * 0.3
    full = np.linalg.lstsq(x, y, rcond=None)[0]
    _, _, right = np.linalg.svd(x @ full, full_matrices=False)
    best = fits.bmvr_loss(y, x @ full @ right[:k].T, right[:k].T)
    assert fits.bmvr_optimum(x, y, k) == pytest.approx(best, rel=1e-10)
    for _ in range(20):
        guess = RNG.normal(size=(8, k))
        readout = np.linalg.lstsq(x @ guess, y, rcond=None)[0]
        assert fits.bmvr_loss(y, x @ guess, readout.T) >= best


def test_dead_inputs_do_not_hurt_the_optimum() -> None:
    x, y = RNG.normal(size=(100, 4)), RNG.normal(size=(100, 2))
    padded = np.hstack([x, np.zeros((100, 3)), x[:, :1]])
    want = fits.bmvr_optimum(x, y, 2)
    assert fits.bmvr_optimum(padded, y, 2) == pytest.approx(want, rel=1e-8)


def test_embedding_takes_more_samples_than_its_perplexity() -> None:
    with pytest.raises(BadOption, match="perplexity"):
        fits.embedding(RNG.normal(size=(20, 5)))


@pytest.mark.slow
def test_embedding_keeps_clusters_together_and_repeats_itself() -> None:
    centres = 10 * RNG.normal(size=(3, 20))
    kinds = np.repeat(np.arange(3), 15)
    h = centres[kinds] + RNG.normal(size=(45, 20))
    points = fits.embedding(h, perplexity=8, seed=1)
    assert points.shape == (45, 2)
    means = np.array([points[kinds == k].mean(axis=0) for k in range(3)])
    nearest = ((points[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == kinds).all()
    np.testing.assert_array_equal(points, fits.embedding(h, perplexity=8, seed=1))


def test_every_figure_is_drawn_on_given_axes_and_on_its_own(tmp_path: Any) -> None:
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    from rate_models.diagnostics import plots

    law = fits.slowness(np.arange(1, 20) / np.arange(2, 21), 0.1)
    moments = [{"W_1": 3.0, "W_2": None}, {"W_1": 4.0, "W_2": 2.0}]
    drawings = [
        lambda axes: plots.recorded("weight_norms", [0, 500], moments, axes),
        lambda axes: plots.plateau({"pepita": law}, axes),
        lambda axes: plots.distribution(RNG.normal(size=500), axes),
        lambda axes: plots.spectrum(RNG.normal(size=(50, 4)), axes),
        lambda axes: plots.objective([1, 10, 100], {"bmvr": [3, 2, 1]}, 0.5, axes),
        lambda axes: plots.map_of(RNG.normal(size=(300, 2)), RNG.integers(3, size=300), axes),
        lambda axes: plots.map_of(RNG.normal(size=(300, 2)), None, axes),
    ]
    for number, draw in enumerate(drawings):
        given = Figure().subplots()
        assert draw(given) is given and (given.lines or given.collections)
        path = tmp_path / f"{number}.png"
        draw(None).figure.savefig(path)
        inked = imread(path)[..., :3].min(axis=2) < 0.9
        assert 0.002 < inked.mean() < 0.5
