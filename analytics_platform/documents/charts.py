"""Drawings for documents: few, plain, and true: bars start at zero, lines join the points and are not smoothed.

What matters is told by a mark beside its colour, and colours are those that colour-blind people tell apart (Okabe and
Ito). Each drawing comes as SVG for bright and dark screens and, where asked for, as PNG; the same input gives the same
bytes. Which numbers are drawn, and how they are written, is decided by who asks.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from analytics_platform.documents.content import Picture
from analytics_platform.documents.words import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#17202b", "#5a6572", "#d4d1c8", "#ffffff"
BLUE, ORANGE, GREY = "#0072b2", "#c75200", "#8b95a1"
_DARK: Mapping[str, str] = {
    INK: "#e9ecef",
    MUTED: "#a2adb8",
    GRID: "#3a434e",
    PAPER: "#1a2027",
    BLUE: "#56b4e9",
    ORANGE: "#f0a868",
    GREY: "#7d8893",
}
_COLOUR = re.compile("|".join(_DARK))

_DPI = 96
_PNG_SCALE = 2
_LONGEST_LABEL = 26
_LABELS_HIGH = 4
_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "documents",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "path.simplify": False,
}
# Matplotlib's settings are the process's.
_drawing = Lock()

Size = tuple[int, int]
"""Width and height in CSS pixels."""

Written = Callable[[float], str]
"""How a value is written."""

Tone = Literal["good", "bad", "neutral"]


@dataclass(frozen=True)
class Line:
    """A series over time.

    Attributes:
        title: what it is, for a drawing of several.
        labels: one per point; the first and the last are written.
        values: None leaves a gap.
        target: drawn as a dashed line where there is one.
        marked: positions of anomalies, drawn as open rings.
        shaded: positions that the drawing speaks about, drawn as filled points.
        steps: distances that labels of its axis may have, such as hours; round numbers where there are none.
    """

    labels: Sequence[str]
    values: Sequence[float | None]
    title: str = ""
    target: float | None = None
    marked: Sequence[int] = ()
    shaded: Sequence[int] = ()
    steps: Sequence[float] = ()


@dataclass(frozen=True)
class Bar:
    """A part of a whole: how much it adds, written beside it, and whether that is wanted."""

    label: str
    value: float
    text: str
    tone: Tone = "neutral"


def line_chart(line: Line, write: Written, *, alt: str, size: Size = (460, 170), png: bool = False) -> Picture:
    """A line with its target and its anomalies."""
    with _figure(size) as figure:
        axes = figure.add_axes((0.12, 0.16, 0.76, 0.76))
        _draw_line(axes, line, write)
        return _picture(figure, alt, size, png=png)


def line_board(lines: Sequence[tuple[Line, Written]], *, columns: int = 2, panel: Size = (460, 170)) -> bytes:
    """Several lines with their titles as one PNG: what goes to where only one picture can go."""
    rows = max(-(-len(lines) // columns), 1)
    with _figure((panel[0] * columns, panel[1] * rows)) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(left=0.08, right=0.91, top=1 - 0.2 / rows, bottom=0.16 / rows, wspace=0.48, hspace=0.62)
        for axes in grid.flat[len(lines) :]:
            axes.set_axis_off()
        for axes, (line, write) in zip(grid.flat, lines, strict=False):
            axes.set_title(plain(line.title), loc="left", fontsize=9, fontweight="bold", color=INK)
            _draw_line(axes, line, write)
        return _png(figure)


def bar_chart(bars: Sequence[Bar], *, alt: str, width: int = 460, png: bool = False) -> Picture:
    """Horizontal bars from zero, in the order given, each with its label and its value as text."""
    size = (width, 24 + 21 * max(len(bars), 1))
    with _figure(size) as figure:
        axes = figure.add_axes((0.36, 0.06, 0.46, 0.88))
        _draw_bars(axes, bars)
        return _picture(figure, alt, size, png=png)


def sparkline(values: Sequence[float | None], *, alt: str, target: float | None = None) -> Picture:
    """A line without axes for a cell of a table; its last point is marked.

    Drawn by hand: a report has one in every row, and a figure of matplotlib takes longer than all else of the row.
    """
    width, height, margin = 120, 28, 4
    known = [value for value in values if value is not None]
    low, high = min([*known, *_given(target)], default=0.0), max([*known, *_given(target)], default=0.0)

    def x(place: int) -> float:
        return margin + place * (width - 2 * margin) / max(len(values) - 1, 1)

    def y(value: float) -> float:
        return height / 2 if high == low else height - margin - (value - low) / (high - low) * (height - 2 * margin)

    parts = []
    if target is not None:
        parts.append(
            f'<path d="M0 {y(target):.2f}H{width}" stroke="{MUTED}" stroke-width=".8" stroke-dasharray="3 2"/>'
        )
    for run in _unbroken(values):
        points = " ".join(f"{x(place):.2f},{y(value):.2f}" for place, value in run)
        parts.append(f'<polyline points="{points}" stroke="{BLUE}" stroke-width="1.4" stroke-linejoin="round"/>')
    if values and values[-1] is not None:
        parts.append(f'<circle cx="{x(len(values) - 1):.2f}" cy="{y(values[-1]):.2f}" r="2.4" fill="{BLUE}"/>')
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'fill="none">{"".join(parts)}</svg>'
    ).encode()
    return Picture(alt, svg, _for_the_dark(svg), None, width, height)


def _given(value: float | None) -> list[float]:
    return [] if value is None else [value]


def _unbroken(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """The stretches without a gap, as places and values."""
    run: list[tuple[int, float]] = []
    for place, value in enumerate(values):
        if value is not None:
            run.append((place, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _draw_line(axes: Axes, line: Line, write: Written) -> None:
    numbers = _numbers(line.values)
    places = range(len(numbers))
    axes.plot(places, numbers, color=BLUE, linewidth=1.5, marker="o", markersize=2, zorder=3)
    if line.target is not None:
        axes.axhline(line.target, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=2)
    for positions, look in ((line.shaded, {"markersize": 5.5}), (line.marked, {"markersize": 9, "fillstyle": "none"})):
        shown = [place for place in positions if line.values[place] is not None]
        colour = BLUE if look["markersize"] == 5.5 else ORANGE
        axes.plot(shown, [numbers[place] for place in shown], "o", color=colour, markeredgewidth=1.6, zorder=4, **look)
    axes.margins(x=0.03, y=0.18)
    _quiet_axes(axes)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.yaxis.set_major_formatter(lambda value, _: write(value))
    _label_heights(axes, line.steps)
    _label_ends(axes, line.labels)
    if numbers and line.values[-1] is not None:
        axes.annotate(
            plain(write(line.values[-1])), (len(numbers) - 1, line.values[-1]), xytext=(7, 0),
            textcoords="offset points", va="center", fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _draw_bars(axes: Axes, bars: Sequence[Bar]) -> None:
    colours = {"good": BLUE, "bad": ORANGE, "neutral": GREY}
    places = range(len(bars))
    drawn = axes.barh(places, [bar.value for bar in bars], color=[colours[bar.tone] for bar in bars], height=0.62)
    for patch, bar in zip(drawn, bars, strict=True):
        if bar.tone == "bad":
            patch.set_hatch("////")
            patch.set_edgecolor(PAPER)
            patch.set_linewidth(0)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_ylim(max(len(bars), 1) - 0.5, -0.5)
    _quiet_axes(axes)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks(list(places), [_short(bar.label) for bar in bars], color=INK)
    for place, bar in zip(places, bars, strict=True):
        _write_value(axes, place, bar)


def _write_value(axes: Axes, place: int, bar: Bar) -> None:
    """The value right of its bar, or right of zero where the bar goes to the left: nothing covers a label then."""
    axes.annotate(
        plain(bar.text), (max(bar.value, 0), place), xytext=(5, 0), textcoords="offset points", va="center",
        annotation_clip=False,
    )  # fmt: skip


def _quiet_axes(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, pad=4)


def _label_heights(axes: Axes, steps: Sequence[float]) -> None:
    """Up to four labels of round numbers, or of multiples of the smallest step that is wide enough."""
    low, high = axes.get_ylim()
    step = next((step for step in steps if (high - low) / step <= _LABELS_HIGH), None)
    if step is None:
        axes.locator_params(axis="y", nbins=_LABELS_HIGH)
    else:
        first, last = -(-low // step), high // step
        axes.set_yticks([place * step for place in range(int(first), int(last) + 1)])


def _label_ends(axes: Axes, labels: Sequence[str]) -> None:
    if not labels:
        axes.set_xticks([])
        return
    places = [0] if len(labels) == 1 else [0, len(labels) - 1]
    ticks = axes.set_xticks(places, [plain(labels[place]) for place in places])
    if len(ticks) > 1:
        axes.get_xticklabels()[0].set_horizontalalignment("left")
        axes.get_xticklabels()[-1].set_horizontalalignment("right")


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]


def _short(label: str) -> str:
    text = plain(label).replace("\n", " ")
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


@contextmanager
def _figure(size: Size) -> Iterator[Figure]:
    """A figure of ``size`` CSS pixels under the settings of all drawings."""
    import matplotlib as mpl  # half a second that only a report needs
    from matplotlib.figure import Figure as Drawn

    with _drawing, mpl.rc_context(_SETTINGS):
        yield Drawn(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, facecolor="none")


def _picture(figure: Figure, alt: str, size: Size, *, png: bool) -> Picture:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return Picture(alt, svg, _for_the_dark(svg), _png(figure) if png else None, *size)


def _for_the_dark(svg: bytes) -> bytes:
    return _COLOUR.sub(lambda found: _DARK[found[0]], svg.decode()).encode()


def _png(figure: Figure) -> bytes:
    """On white, because who shows it may do so on any colour; twice as large, for dense screens."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", dpi=_DPI * _PNG_SCALE, facecolor=PAPER, edgecolor=PAPER, metadata={"Software": None}
    )
    return buffer.getvalue()
