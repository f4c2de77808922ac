"""Numbers along logarithmic axes."""

import pytest
from matplotlib.figure import Figure

from rate_models.drawing.style import plain_numbers


@pytest.mark.parametrize(
    ("low", "high", "wanted"), [(0.05, 200, {"0.1", "1", "10", "100"}), (25, 60, {"30", "60"})]
)
def test_logarithmic_axes_show_plain_numbers(low: float, high: float, wanted: set[str]) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.semilogy([low, high])
    plain_numbers(axes.yaxis)
    figure.canvas.draw()
    texts = axes.get_yticklabels() + axes.get_yticklabels(minor=True)
    labels = {label.get_text() for label in texts}
    assert wanted <= labels and not any("e" in text or "\\" in text for text in labels)
