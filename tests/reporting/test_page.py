import base64
import gzip
import hashlib
import json
import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.catalog import Audience, Catalog, load_catalog
from analytics_platform.reporting import messages
from analytics_platform.reporting.page import (
    IndexRow,
    content_security_policy,
    payload_element,
    payload_of,
    render_index,
)
from analytics_platform.reporting.value_words import VALUE_WORDS
from reporting.kpi_tables import catalog_with, renamed

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)

SCRIPTS = files("analytics_platform.reporting") / "templates" / "scripts"


@given(st.dictionaries(st.text(), json_values))
def test_an_embedded_payload_means_the_same_and_cannot_end_its_element(value: dict[str, object]) -> None:
    element = str(payload_element(value))
    assert payload_of(f"<p>{element}</p>".encode()) == value
    assert element.count("<") == 2
    assert "&" not in element


def test_a_payload_is_packed_the_same_way_each_time() -> None:
    element = str(payload_element({"a": 1}))
    assert element == str(payload_element({"a": 1}))
    packed = re.findall(r">(.*)<", element)[0]
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == {"payload": {"a": 1}}


def test_what_is_no_page_has_no_payload() -> None:
    with pytest.raises(ValueError, match="embeds no payload"):
        payload_of(b"<html></html>")


def test_the_policy_allows_what_is_inlined_and_no_network() -> None:
    policy = content_security_policy(["let a = 1;"], "p {}")
    digest = base64.b64encode(hashlib.sha256(b"let a = 1;").digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "connect-src" not in policy


def _catalog_with_an_evil_tenant() -> Catalog:
    return catalog_with([renamed(load_catalog().tenants["brabant-rental"], "evil", "<b>Evil & Sons</b>")])


def test_names_on_the_start_page_are_text() -> None:
    rows = [
        IndexRow(Audience("finance"), [("finance", "finance/finance.html")]),
        IndexRow(Audience("tenant_viewer", "evil"), [("finance", "finance/tenant_viewer@evil.html")]),
    ]
    html = render_index(_catalog_with_an_evil_tenant(), rows).decode()
    assert "<b>Evil" not in html
    assert "&lt;b&gt;Evil &amp; Sons&lt;/b&gt;" in html
    assert '<span lang="nl" hidden>Financiën</span>' in html
    assert html.count("tenant_viewer@evil.html") == 1


def test_the_inlined_library_is_the_one_that_its_version_file_names() -> None:
    folder = files("analytics_platform.reporting") / "vendor" / "echarts"
    (named,) = re.findall(r"sha256 ([0-9a-f]{64})  echarts\.min\.js", (folder / "VERSION").read_text())
    assert hashlib.sha256((folder / "echarts.min.js").read_bytes()).hexdigest() == named
    version = json.loads((folder / "package.json").read_text())["devDependencies"]["echarts"]
    assert f"echarts {version}" in (folder / "VERSION").read_text()
    assert "Apache License" in (folder / "LICENSE").read_text()


def test_every_language_says_everything_with_the_same_blanks() -> None:
    english = messages.PAGE_WORDS["en"]
    for words in messages.PAGE_WORDS.values():
        assert words.keys() == english.keys()
        for key, text in words.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), key


def test_the_script_says_nothing_that_is_not_in_the_words() -> None:
    script = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS.iterdir())
    said = set(re.findall(r'say\("(\w+)"', script))
    assert len(said) > 40
    assert said <= messages.PAGE_WORDS["en"].keys()


def test_every_dimension_axis_and_measure_has_a_name_in_every_language() -> None:
    catalog = load_catalog()
    views = [view for dashboard in catalog.dashboards.values() for view in dashboard.views]
    columns = {kpi.filtered_as.get(column, column) for kpi in catalog.kpis.values() for column in kpi.page_drill_downs}
    columns |= {column for view in views for column in (*view.filters, *(axis.name for axis in view.axes))}
    measures = {measure.name for view in views for measure in view.measures}
    for language in messages.PAGE_WORDS:
        assert columns <= messages.DIMENSION_NAMES[language].keys()
        assert measures <= messages.MEASURE_NAMES[language].keys()


def test_a_value_whose_id_says_nothing_has_a_word_in_every_language() -> None:
    catalog = load_catalog()
    listed = {
        (axis.name, value)
        for dashboard in catalog.dashboards.values()
        for view in dashboard.views
        for axis in view.axes
        for value in axis.values
        if value[0].isdigit()
    }
    assert listed
    for words in VALUE_WORDS.values():
        assert [(name, value) for name, value in listed if value not in words[name]] == []


def test_the_catalogue_is_translated_in_full() -> None:
    dutch = load_catalog().translations["nl"]
    assert dutch.kpis["mrr"].title == "Maandelijks terugkerende omzet"
    assert dutch.dashboards["finance"].views["mrr_bridge"].title == "Van beginstand naar eindstand"


def test_the_script_never_makes_markup_of_text() -> None:
    script = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS.iterdir())
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in script
