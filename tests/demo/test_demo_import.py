from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from analytics_platform.cli import pipeline
from analytics_platform.demo import history


def test_a_second_demo_imports_only_what_is_new_since_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    monkeypatch.setattr(history, "DAYS", 2)

    def imported(last: date) -> tuple[bool, int, int]:
        report = pipeline._import_simulated(1, last, quiet=True)
        return report.read > 0, report.accepted, report.duplicates

    is_read, accepted, duplicates = imported(date(2026, 3, 2))
    assert is_read
    assert accepted > duplicates
    assert imported(date(2026, 3, 2)) == (False, 0, 0)
    is_read, more, again = imported(date(2026, 3, 3))
    assert is_read
    assert accepted > more > 10 * again
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "other"))
    assert imported(date(2026, 3, 3))[0]
