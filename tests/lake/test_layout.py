from __future__ import annotations

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
    if layout.is_tenant_id(text) or text == layout.UNKNOWN_TENANT:
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
