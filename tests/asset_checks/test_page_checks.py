"""Checks of pages, on pages that hold and on pages that do not."""

import pytest

from analytics_platform.catalog import Audience
from analytics_platform.reporting.page import payload_element
from asset_checks.published import pages_are_self_contained, pages_hold_only_their_tenant

GOOD_PAGE = b'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'"><a href="../index.html">'
NAMES = {"a-rental": "Anton Rental", "b-events": "Berta Events"}
ANTON, BERTA = Audience("tenant_viewer", "a-rental"), Audience("tenant_viewer", "b-events")


def page(text: str, packed: str = "") -> bytes:
    return text.encode() + payload_element({"kpis": [packed]}).encode()


def test_a_page_that_loads_nothing_is_self_contained() -> None:
    assert pages_are_self_contained({"finance": GOOD_PAGE}).passed


@pytest.mark.parametrize(
    "page",
    [
        GOOD_PAGE + b'<script src="https://cdn.example/echarts.js">',
        GOOD_PAGE + b'<link rel=stylesheet href="//cdn.example/a.css">',
        GOOD_PAGE + b"<style>@import 'a.css'</style>",
        GOOD_PAGE + b"<style>b{background:url(https://a.example/b.png)}</style>",
        b"<p>no policy</p>",
    ],
)
def test_a_page_that_needs_the_network_is_named(page: bytes) -> None:
    facts = pages_are_self_contained({"finance": page})
    assert not facts.passed
    assert facts.offenders == ["finance"]


def test_no_pages_at_all_do_not_pass() -> None:
    assert not pages_are_self_contained({}).passed


def test_pages_with_only_their_own_tenant_hold_no_other() -> None:
    assert pages_hold_only_their_tenant({ANTON: page("Anton Rental"), BERTA: page("Berta Events")}, NAMES).passed


@pytest.mark.parametrize("leak", [page("Berta Events"), page("tenant=b-events"), page("", packed="Berta Events")])
def test_another_tenants_name_or_id_in_a_page_is_a_leak_packed_or_not(leak: bytes) -> None:
    assert pages_hold_only_their_tenant({ANTON: leak}, NAMES).offenders == ["tenant_viewer@a-rental: b-events"]
