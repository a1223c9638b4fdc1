from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.lake import layout
from analytics_platform.lake.store import UnsafeKeyError

DAY = date(2026, 1, 15)
HOUR = datetime(2026, 1, 15, 10, 59, tzinfo=UTC)


def test_keys_are_what_the_design_says() -> None:
    sha = layout.digest(b"")
    assert layout.landing_key(DAY, "t-1", HOUR, "import", sha) == (
        "landing/day=2026-01-15/tenant=t-1/20260115T10-import-e3b0c44298fc1c14.ndjson.zst"
    )
    assert layout.raw_key("billing", DAY, "t-1") == "raw/billing/day=2026-01-15/tenant=t-1/events.parquet"
    assert layout.dead_letter_key("too_large", DAY, "_unknown", "import", sha) == (
        "dead/too_large/day=2026-01-15/tenant=_unknown/import-e3b0c44298fc1c14.ndjson.zst"
    )


def test_a_place_is_read_back_from_every_kind_of_key() -> None:
    for key in (layout.raw_key("crm", DAY, "t_1"), layout.conflicts_key("crm", DAY, "t_1")):
        place = layout.placed(key)
        assert (place.day, place.tenant) == (DAY, "t_1")
    assert layout.is_conflicts_of_raw(layout.placed(layout.conflicts_key("crm", DAY, "t")).name)
    assert layout.manifest_days(layout.manifest_key(DAY, date(2026, 2, 1), "import", "x")) == (DAY, date(2026, 2, 1))


@pytest.mark.parametrize("key", ["landing/x", "raw/crm/day=2026-01-15/tenant=a/b/c", "landing_manifests/x.json"])
def test_what_is_in_no_partition_is_told(key: str) -> None:
    with pytest.raises(UnsafeKeyError):
        layout.manifest_days(key) if key.endswith(".json") else layout.placed(key)


@given(text=st.text(max_size=80) | st.sampled_from(["..", "a/..", "t\n", "t\0", "", "A", "é", "_unknown/", "-t"]))
def test_only_a_proper_tenant_id_enters_a_key(text: str) -> None:
    if re.fullmatch("[a-z0-9][a-z0-9_-]{0,62}", text) or text == layout.UNKNOWN_TENANT:
        assert layout.placed(layout.raw_key("crm", DAY, text)).tenant == text
    else:
        with pytest.raises(UnsafeKeyError):
            layout.raw_key("crm", DAY, text)


@given(text=st.text(max_size=80).filter(lambda text: not text.isascii() or not text.replace("_", "").isalnum()))
def test_only_a_proper_stream_or_reason_enters_a_key(text: str) -> None:
    with pytest.raises(UnsafeKeyError):
        layout.raw_prefix(text)
    with pytest.raises(UnsafeKeyError):
        layout.dead_letter_prefix(text)


def test_a_review_its_signatures_and_what_was_signed_lie_in_their_quarter() -> None:
    assert layout.review_key("2026Q3", "pdf") == "reviews/quarter=2026Q3/review.pdf"
    assert layout.signature_key("2026Q3", 7) == "reviews/quarter=2026Q3/signatures/0007.json"
    assert layout.signature_number(layout.signature_key("2026Q3", 7)) == 7
    assert layout.signed_content_key("2026Q3", "a" * 64) == f"reviews/quarter=2026Q3/signed/{'a' * 64}.json"
    assert layout.reviewed_quarter(layout.review_key("2026Q3", "json")) == "2026Q3"
    assert layout.reviewed_quarter(layout.review_key("2026Q3", "html")) is None
    assert layout.signature_key("2026Q3", 1).startswith(layout.signature_prefix("2026Q3"))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: layout.review_key("2026-07-01", "json"),
        lambda: layout.review_key("2026Q3/..", "json"),
        lambda: layout.review_key("2026Q3", "exe"),
        lambda: layout.signed_content_key("2026Q3", "../x"),
        lambda: layout.signature_number("reviews/quarter=2026Q3/review.json"),
    ],
)
def test_what_is_no_review_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(UnsafeKeyError):
        wrong()
