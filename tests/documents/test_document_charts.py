from __future__ import annotations

import struct
from xml.etree import ElementTree

import pytest
from document_examples import HOSTILE

from analytics_platform.documents import Picture
from analytics_platform.documents.charts import GREY, Bar, Line, bar_chart, line_board, line_chart, sparkline

WEEKS = Line(["2 Nov", "9 Nov", "16 Nov"], [3.0, 4.0, 5.5], title=HOSTILE, target=4.0, marked=[1], shaded=[2])


def write(value: float) -> str:
    return f"${value:.1f}$"


def drawn() -> dict[str, Picture]:
    return {
        "line": line_chart(WEEKS, write, alt="a line", png=True),
        "bars": bar_chart([Bar(HOSTILE, 5, "+5", "good"), Bar("b", -3, "-3", "bad")], alt="bars", png=True),
        "spark": sparkline([1, None, 2], alt="trend", target=1.5),
    }


def texts(svg: bytes) -> list[str]:
    return [
        "".join(element.itertext()) for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def test_the_same_numbers_give_the_same_drawing() -> None:
    assert drawn() == drawn()


def test_other_numbers_give_another_drawing() -> None:
    assert sparkline([1, 2, 4], alt="t") != sparkline([1, 3, 4], alt="t")


def test_labels_are_text_and_neither_markup_nor_mathematics() -> None:
    pictures = drawn()
    assert "$5.5$" in texts(pictures["line"].svg)
    assert any(text.startswith("</script><img") for text in texts(pictures["bars"].svg))
    for picture in pictures.values():
        assert b"<img" not in picture.svg
        assert b"<dc:date>" not in picture.svg


def test_a_drawing_for_dark_screens_differs_in_colours_alone() -> None:
    line = drawn()["line"]
    assert texts(line.svg) == texts(line.dark_svg)
    assert line.svg != line.dark_svg
    assert b"#17202b" not in line.dark_svg


def test_a_png_has_twice_the_pixels_of_its_drawing() -> None:
    line = drawn()["line"]
    assert line.png
    assert size_of(line.png) == (2 * line.width, 2 * line.height)


def size_of(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_a_board_of_lines_is_one_png_with_a_row_for_every_two() -> None:
    three = line_board([(WEEKS, write)] * 3)
    assert size_of(three) == (2 * 2 * 460, 2 * 2 * 170)
    assert three == line_board([(WEEKS, write)] * 3)
    assert size_of(line_board([])) == (2 * 2 * 460, 2 * 170)


@pytest.mark.parametrize("values", [[], [None], [None, None], [2.0]])
def test_a_series_without_figures_is_drawn_empty(values: list[float | None]) -> None:
    labels = [str(n) for n in range(len(values))]
    assert ElementTree.fromstring(line_chart(Line(labels, values), write, alt="x").svg) is not None
    assert ElementTree.fromstring(sparkline(values, alt="x").svg) is not None
    assert ElementTree.fromstring(bar_chart([], alt="x").svg) is not None


def test_an_axis_of_time_is_labelled_in_whole_steps() -> None:
    line = Line(["a", "b"], [100.0, 1500.0], steps=(60, 240, 480, 1440))
    labels = texts(line_chart(line, lambda minutes: f"{minutes / 60:g} h", alt="x").svg)
    assert {"0 h", "8 h", "16 h", "24 h"} <= set(labels)


def test_bars_start_at_zero() -> None:
    """The bar of 4 is twice as long as the bar of 2, and the bar of -2 ends where they begin."""
    svg = ElementTree.fromstring(bar_chart([Bar("a", 4, ""), Bar("b", 2, ""), Bar("c", -2, "")], alt="x").svg)
    spans = []
    for path in svg.iter("{http://www.w3.org/2000/svg}path"):
        if f"fill: {GREY}" in path.get("style", ""):
            places = [float(part) for part in path.get("d", "").split() if part not in "MLz"][::2]
            spans.append((min(places), max(places)))
    four, two, minus = spans
    assert four[1] - four[0] == pytest.approx(2 * (two[1] - two[0]), abs=0.01)
    assert minus[1] == pytest.approx(two[0], abs=0.01)


def test_a_long_label_is_cut_and_says_so() -> None:
    (label,) = [text for text in texts(bar_chart([Bar("x" * 60, 1, "1")], alt="x").svg) if text.startswith("xx")]
    assert len(label) == 26
    assert label.endswith("…")
