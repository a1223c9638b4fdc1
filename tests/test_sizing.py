"""The sizing guide says what its arithmetic says."""

from dataclasses import replace

import pytest

from benchmarks.sizing import GUIDE, read_inputs, rendered, scales


def test_the_guides_tables_are_current() -> None:
    guide = GUIDE.read_text(encoding="utf-8")

    assert rendered(guide, read_inputs()) == guide, "run `python -m benchmarks.sizing`"


def test_a_table_without_its_place_is_told() -> None:
    with pytest.raises(SystemExit, match="table: work"):
        rendered("a guide without tables", read_inputs())


def test_longer_segments_mean_fewer_objects_and_a_smaller_bill() -> None:
    for scale in scales(read_inputs()):
        longer = replace(scale, segment_seconds=scale.segment_seconds * 2)

        assert longer.landing_objects < scale.landing_objects
        assert longer.lake_month < scale.lake_month


def test_what_is_measured_dearer_costs_more() -> None:
    inputs = read_inputs()
    dearer = {**inputs, "measured": {**inputs["measured"], "raw": {"cpu_us": 40.0, "bytes": 200}}}

    for before, after in zip(scales(inputs), scales(dearer), strict=True):
        assert after.ingest_hours > before.ingest_hours
        assert after.lake_tb > before.lake_tb
        assert after.snowflake_month == before.snowflake_month
