"""The document of a browser: built once, then updated from the buffer twice a second."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from importlib import resources
from typing import Any, Protocol

from bokeh.document import Document
from bokeh.events import ClientReconnected, ConnectionLost
from bokeh.models import Button, CustomJS, Div, Select, TextInput
from jinja2 import Template

from streaming.live_page.control import Control
from streaming.live_page.panels import Curves
from streaming.live_page.pictures import Activity, Confusion, Input, Workers
from streaming.live_page.ring import About, Frame, Point, Ring

TEMPLATE = Template(resources.files(__package__).joinpath("page.html").read_text("utf-8"))
LOST = 'document.getElementById("lost").hidden = '
PERIOD = 500  # milliseconds
# 44 pixels are what a finger hits; the outline shows where the keyboard is
STYLE = """
    .bk-btn, .bk-input { min-height: 44px; font-size: 16px; }
    .bk-btn:focus-visible, .bk-input:focus-visible { outline: 3px solid #D55E00 !important;
        outline-offset: 1px; }
    label { font-size: 14px; }
"""
NUMBERS = """
    .bk-clearfix { width: 100%; }
    dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); gap: 6px 16px;
        margin: 0; }
    dt { font-size: 13px; color: #555; } dd { margin: 0; font-size: 19px;
        font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
"""


class Feed(Protocol):
    """What the page is fed by: a run, or the folder of a run."""

    ring: Ring

    @property
    def control(self) -> Control | None:
        """None where there is nothing to control."""

    def refresh(self) -> None:
        """Bring the ring up to date, if nothing else does."""


def page_of(feed: Feed) -> Callable[[Document], None]:
    """The function that fills the document of each browser."""

    def fill(document: Document) -> None:
        feed.refresh()
        about = feed.ring.about
        document.title = "dendrostream live"
        document.template = TEMPLATE
        names: dict[str, Any] = {"state": feed.ring.state, "about": about, "figures": {}}
        if about is not None:
            view = View(feed, about)
            for name, root in view.roots.items():
                root.name = name
                document.add_root(root)
            names["figures"] = view.roots
            document.title = f"{about.rule} on {about.source} – dendrostream live"
            view.update()

            def update() -> None:
                document.hold("combine")  # all changes in one message
                view.update()
                document.unhold()

            document.add_periodic_callback(update, PERIOD)
            document.config.notifications = None  # the page has its own, which covers nothing
            for event, hidden in ((ConnectionLost, "false"), (ClientReconnected, "true")):
                document.js_on_event(event, CustomJS(code=LOST + hidden))
        document.template_variables.update(names)

    return fill


class View:
    """All models of a document. ``roots``: {name: model} to be placed in the page."""

    def __init__(self, feed: Feed, about: About) -> None:
        self._feed, self._about, self._count = feed, about, 0
        self._curves, self._activity = Curves(about), Activity()
        self._numbers = Div(sizing_mode="stretch_width", stylesheets=[NUMBERS])
        self._remark = Div(text="", sizing_mode="stretch_width", styles={"color": "#555"})
        self._layer = Select(title="layer", options=[], stylesheets=[STYLE], width=220)
        self._pictures: list[Any] = [Input(about.image_shape)]
        self.roots: dict[str, Any] = {
            "numbers": self._numbers, "layer": self._layer, "remark": self._remark,
        }  # fmt: skip
        self.roots |= self._curves.figures
        self.roots["input"] = self._pictures[0].figure
        self.roots |= {f"activity{i}": f for i, f in enumerate(self._activity.figures)}
        if about.score == "accuracy":
            self._pictures.append(Confusion())
            self.roots["confusion"] = self._pictures[-1].figure
        if about.threads:
            self._pictures.append(Workers())
            self.roots["workers"] = self._pictures[-1].figure
        self._controls = None if feed.control is None else Controls(feed.control, feed.ring)
        if self._controls is not None:
            self.roots |= self._controls.roots

    def update(self) -> None:
        """Show what is new since the last time."""
        self._feed.refresh()
        ring = self._feed.ring
        self._count, points = ring.after(self._count)
        if self._controls is not None:
            self._controls.update(ring.frame)
        text = _numbers(self._about, ring, points)
        if text is not None and text != self._numbers.text:
            self._numbers.text = text
        if not points:
            return
        self._curves.add(points)
        frame = ring.frame
        _set(self._remark, text=html.escape(frame.remark))
        layers = [*frame.activities]
        if self._layer.options != layers:
            self._layer.options = layers
            if self._layer.value not in layers:
                self._layer.value = layers[0] if layers else ""
        self._activity.update(frame, str(self._layer.value))
        for picture in self._pictures:
            picture.update(frame)


class Controls:
    """Buttons and fields that ask the control of a run for something."""

    def __init__(self, control: Control, ring: Ring) -> None:
        self._control, self._ring = control, ring
        self._pause = _button("Pause", lambda: control.pause(not control.paused), "primary")
        self._step = _button("Single step", control.step)
        self._save = _button("Save", control.save)
        self._drift = _button("Cause a drift", control.drift)
        self._rate = TextInput(title="learning rate", width=130, stylesheets=[STYLE])
        self._rate.on_change("value", self._set_rate)
        self._shown = math.nan  # the rate in the field
        self._note = Div(text="", sizing_mode="stretch_width", styles={"font-size": "15px"})
        self.roots: dict[str, Any] = {
            "pause": self._pause, "step": self._step, "save": self._save, "drift": self._drift,
            "rate": self._rate, "note": self._note,
        }  # fmt: skip

    def update(self, frame: Frame) -> None:
        """Show what can be done now, and what was done last."""
        _set(self._pause, label="Resume" if self._control.paused else "Pause")
        _set(self._drift, disabled=not frame.can_drift)
        _set(self._note, text=html.escape(self._ring.note))
        if frame.rate != self._shown and not math.isnan(frame.rate):
            self._shown = frame.rate
            _set(self._rate, value=f"{frame.rate:g}")

    def _set_rate(self, name: str, old: str, new: str) -> None:
        try:
            rate = float(new)
        except ValueError:
            self._ring.note = f"learning rate: got {new[:40]!r}; expected a number above 0"
            return
        if f"{rate:g}" != f"{self._shown:g}":
            self._control.set_rate(rate)


def _button(label: str, do: Callable[[], object], kind: str = "default") -> Button:
    button = Button(label=label, button_type=kind, stylesheets=[STYLE], width=125)
    button.on_click(lambda: do())
    return button


def _set(model: Any, **values: Any) -> None:
    """Set properties that differ; an equal one would be sent again."""
    for name, value in values.items():
        if getattr(model, name) != value:
            setattr(model, name, value)


def _numbers(about: About, ring: Ring, points: list[Point]) -> str | None:
    """The last numbers as a list of terms; None while there are none."""
    point = points[-1] if points else ring.last
    if point is None:
        return None
    rows = [
        ("state", ring.state),
        ("samples", f"{point.samples:,}"),
        ("epoch", f"{ring.frame.epoch + 1:,}"),
        (f"{about.score}, last 1,000", _text(point.windowed_score, ".4f")),
        (f"{about.score}, all", _text(point.score, ".4f")),
        ("loss, last 1,000", _text(point.windowed_loss, ".4g")),
        ("samples per second", _text(point.pace, ",.0f")),
        ("learning rate", _text(ring.frame.rate, "g")),
    ]
    if about.live:
        rows.append(
            ("latency p50, p99", f"{_text(point.p50, '.3g')}, {_text(point.p99, '.3g')} ms")
        )
    return "<dl>" + "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in rows
    ) + "</dl>"  # fmt: skip


def _text(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)
