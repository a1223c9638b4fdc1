"""TMDL and DAX as text: what is written is read back, whatever names it holds, and what cannot be said is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.reporting.power_bi import dax, tmdl
from analytics_platform.reporting.power_bi.sources import m_text
from analytics_platform.reporting.power_bi.tmdl import Node, TmdlError

LINE = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=30)
NAMES = LINE | st.sampled_from(
    ["A.B", "a = b", "it's", "'", "''", "x:y", "///", "true", "ref table", "table x", "[a]", "=", " a "]
)
WORDS = LINE.map(str.strip).filter(bool)
EXPRESSIONS = st.lists(st.just("") | LINE.map(str.rstrip), min_size=1, max_size=4).map("\n".join).map(
    lambda text: text.strip() if "\n" not in text.strip("\n") else text.strip("\n")
).filter(bool).filter(lambda text: "\n" not in text or bool(text.split("\n")[0].strip()))  # fmt: skip
KEYS = st.from_regex(r"[a-z][A-Za-z]{0,8}", fullmatch=True).filter(lambda name: name not in tmdl.OBJECTS)


@st.composite
def nodes(draw: st.DrawFn, depth: int = 0) -> Node:
    children = draw(st.lists(nodes(depth=depth + 1), max_size=2)) if depth < 2 else []
    return Node(
        draw(st.sampled_from(sorted(tmdl.OBJECTS))),
        draw(NAMES),
        draw(st.none() | EXPRESSIONS),
        draw(st.dictionaries(KEYS, NAMES | st.booleans(), max_size=3)),
        {},
        tuple(children),
        draw(st.just("") | WORDS),
    )


@given(st.lists(nodes(), max_size=3))
def test_what_is_written_is_read_back(written: list[Node]) -> None:
    assert tmdl.parse(tmdl.render(written)) == written


@given(NAMES, NAMES)
def test_a_reference_to_a_column_survives_any_name(table: str, column: str) -> None:
    assert tmdl.parse_column_reference(tmdl.column_reference(table, column)) == (table, column)


def test_expressions_of_properties_keep_their_own_indentation_and_blank_lines() -> None:
    node = Node("partition", "p", "m", {"mode": "import"}, {"source": "let\n    a = 1,\n\n    b = 2\nin\n    b"})
    text = tmdl.render([Node("table", "t", children=(node, Node("annotation", "x", "1")))])
    assert "\t\tsource =\n\t\t\t\tlet\n\t\t\t\t    a = 1,\n\n\t\t\t\t    b = 2" in text
    assert tmdl.parse(text)[0].children[0] == node


def test_what_power_bi_desktop_writes_is_read(tmp_path: Path) -> None:
    text = (
        "/// A table\n/// of two lines\ntable 'My Sales'\n\tlineageTag: 97143e5b\n\n"
        "\tmeasure 'Sales (ly)' =\n\t\t\tvar ly = 1\n\t\t\treturn ly\n\t\tformatString: $ #,##0\n\t\tisHidden\n\n"
        '\t\tannotation PBI_FormatHint = {"isCustom":true}\n\n'
        "\tcolumn 'Product Key'\n\t\tdataType: int64\n\t\tisHidden: false\n"
        '\t\tdisplayFolder: " My ""Amazing"" Measures"\n\n'
        "\tpartition 'Sales-1' = m\n\t\tmode: import\n\t\tsource = Source\n"
    )
    (table,) = tmdl.parse(text)
    assert (table.name, table.description) == ("My Sales", "A table\nof two lines")
    assert table.of("measure")[0].value == "var ly = 1\nreturn ly"
    assert table.of("measure")[0].properties == {"formatString": "$ #,##0", "isHidden": True}
    assert table.of("column")[0].properties["displayFolder"] == ' My "Amazing" Measures'
    assert table.of("column")[0].properties["isHidden"] is False
    assert table.of("partition")[0].expressions == {"source": "Source"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tables x\n", r"line 1 is no object"),
        ("table x\n\t\tcolumn y\n", r"line 2 is indented by 2"),
        ("table x\n\t!\n", r"line 2 is (no object|neither)"),
        ("\ttable x\n", r"line 1 is indented"),
    ],
)
def test_what_is_no_tmdl_is_refused_by_line(text: str, said: str) -> None:
    with pytest.raises(TmdlError, match=said):
        tmdl.parse(text)


@pytest.mark.parametrize("name", ["", "a\nb", "a\tb", "\x00"])
def test_names_with_control_characters_are_refused(name: str) -> None:
    with pytest.raises(TmdlError, match="cannot be the name"):
        tmdl.quoted(name)


def test_a_property_is_one_line() -> None:
    with pytest.raises(TmdlError, match="one line"):
        tmdl.render([Node("table", "t", properties={"displayFolder": "a\nb"})])


@given(NAMES, NAMES, NAMES, NAMES)
def test_dax_names_what_it_was_given_and_nothing_in_texts_or_comments(
    table: str, column: str, measure: str, text: str
) -> None:
    expression = (
        f"VAR _x = SUM({dax.column(table, column)}) // [Not] 'This'\n"
        f"RETURN /* 'Nor'[this] */ IF(_x > 1.5, {dax.bracketed(measure)}, {dax.text(text)}) -- [or this]"
    )
    named = dax.names(expression)
    assert named == dax.Names(frozenset({table}), frozenset({(table, column)}), frozenset({measure}))


def test_dax_tells_unquoted_tables_from_functions_variables_and_keywords() -> None:
    named = dax.names("VAR Rows = COUNTROWS(Sales) RETURN IF(NOT TRUE && Rows IN {1}, Sales[Net Price], BLANK())")
    assert named == dax.Names(frozenset({"Sales"}), frozenset({("Sales", "Net Price")}), frozenset())


@pytest.mark.parametrize("text", ["'open", '"open', "[open", "a ? b"])
def test_what_is_no_token_of_dax_is_refused(text: str) -> None:
    with pytest.raises(dax.DaxError, match="no token of DAX"):
        dax.tokens(text)


def test_texts_of_m_cannot_end_early_or_begin_an_escape() -> None:
    assert m_text('C:\\a "b" #(lf)') == '"C:\\a ""b"" #(#)(lf)"'
