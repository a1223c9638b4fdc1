"""What stops all requests at once: the collection of garbage, which must not go through what the start has made."""

from __future__ import annotations

import gc

from analytics_platform.intake.collector import service


def test_a_collection_passes_over_all_that_was_there_before_requests_came() -> None:
    before = len(gc.get_objects())

    with service._brief_collections():
        assert gc.get_freeze_count() > before / 2
        assert len(gc.get_objects()) < before / 20
    assert gc.get_freeze_count() == 0
