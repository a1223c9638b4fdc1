import base64
import hashlib
import json
import re
from importlib.resources import files

from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.reporting.page import IndexRow, content_security_policy, embed_json, render_index

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_embedded_json_means_the_same_and_cannot_end_its_element(value: object) -> None:
    embedded = str(embed_json(value))
    assert json.loads(embedded) == value
    assert not set(embedded) & set("<>&\u2028\u2029")


def test_a_closing_tag_in_data_stays_data() -> None:
    assert "</script" not in str(embed_json("</script><img onerror=alert(1)>"))


def test_the_policy_allows_what_is_inlined_and_no_network() -> None:
    policy = content_security_policy(["let a = 1;"], "p {}")
    digest = base64.b64encode(hashlib.sha256(b"let a = 1;").digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "connect-src" not in policy


def test_names_on_the_start_page_are_text() -> None:
    html = render_index(
        [IndexRow(None, []), IndexRow("<b>Evil & Sons</b>", [("Finance", "finance/evil.html")])]
    ).decode()
    assert "<b>Evil" not in html
    assert "&lt;b&gt;Evil &amp; Sons&lt;/b&gt;" in html
    assert "All tenants" in html


def test_the_inlined_library_is_the_one_that_its_version_file_names() -> None:
    folder = files("analytics_platform.reporting") / "vendor" / "echarts"
    (named,) = re.findall(r"sha256 ([0-9a-f]{64})  echarts\.min\.js", (folder / "VERSION").read_text())
    assert hashlib.sha256((folder / "echarts.min.js").read_bytes()).hexdigest() == named
    version = json.loads((folder / "package.json").read_text())["devDependencies"]["echarts"]
    assert f"echarts {version}" in (folder / "VERSION").read_text()
    assert "Apache License" in (folder / "LICENSE").read_text()
