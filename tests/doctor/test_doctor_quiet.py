"""Who has gone quiet, by what the ledger of a warehouse says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from examined import the_one

from analytics_platform.catalog import Catalog
from analytics_platform.doctor import quiet
from analytics_platform.doctor.deployment import CannotLookError, Deployment
from analytics_platform.doctor.findings import Finding
from analytics_platform.settings import Settings

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
"""A Wednesday; Tuesday was due at six in the morning."""


@dataclass
class Examined(Deployment):
    """A deployment at a moment."""

    at: datetime = field(default=NOW)

    @property
    def now(self) -> datetime:
        return self.at


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Examined(read=lambda: Settings(home=tmp_path))


def weekdays(before: date, weeks: int = 8) -> list[date]:
    days = (before - timedelta(n) for n in range(1, 7 * weeks + 1))
    return [day for day in days if day.isoweekday() < 6]


def sent(deployment: Deployment, tenants: Iterable[str], streams: Sequence[str], before: date) -> None:
    """A ledger in which some tenants have sent some streams on each weekday before a day."""
    rows = [(stream, tenant, day) for tenant in tenants for stream in streams for day in weekdays(before)]
    with duckdb.connect(deployment.settings.warehouse_path) as warehouse:
        warehouse.execute("create schema if not exists ops")
        warehouse.execute(
            "create table if not exists ops.ledger "
            "(stream varchar, tenant_id varchar, day date, accepted bigint, duplicates bigint)"
        )
        warehouse.executemany("insert into ops.ledger values (?, ?, ?, 1, 0)", rows)


def test_who_has_sent_what_was_due_is_not_told(deployment: Deployment, catalog: Catalog) -> None:
    sent(deployment, catalog.tenants, ("billing",), date(2026, 11, 25))
    (found,) = quiet.look(deployment)
    assert (found.outcome, found.found.split()[1]) == ("ok", f"{len(catalog.tenants)}")


def test_a_quiet_tenant_is_told_once_with_its_streams_and_whom_to_ask(deployment: Deployment) -> None:
    sent(deployment, ("delta-events",), ("billing",), date(2026, 11, 25))
    sent(deployment, ("brabant-rental",), ("billing", "support"), date(2026, 11, 20))
    found = the_one(quiet.look(deployment))
    assert (found.outcome, found.looked_at) == ("warn", "brabant-rental")
    assert "billing since 2026-11-19, support since 2026-11-19" in found.found
    assert "2026-11-20 of billing was due on 2026-11-21 at 05:00 UTC" in found.found
    assert found.mend is not None
    assert {"finance", "analytics dead-letters list --tenant brabant-rental"} <= set(_parts(found.mend))


def _parts(mend: str) -> list[str]:
    return [*mend.replace("`", " ").split(), *mend.split("`")]


def test_a_deployment_that_has_not_run_yet_is_not_looked_at(deployment: Deployment) -> None:
    found: list[Finding] = list(quiet.look(deployment))
    assert [each.outcome for each in found] == ["skipped"]


def test_where_everybody_is_quiet_some_are_named_and_the_rest_are_counted(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, catalog: Catalog
) -> None:
    monkeypatch.setattr(quiet, "NAMED", 1)
    sent(deployment, catalog.tenants, ("billing",), date(2026, 11, 10))
    found = list(quiet.look(deployment))
    assert [each.looked_at in catalog.tenants for each in found] == [True, False]
    assert found[1].found == f"{len(catalog.tenants) - 1} more are quiet"


def test_a_warehouse_that_cannot_be_asked_is_left_to_its_own_probe(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "_PATIENCE_SECONDS", 0.2)
    deployment.settings.warehouse_path.write_bytes(b"no database")
    with pytest.raises(CannotLookError, match="see what `warehouse` says"):
        list(quiet.look(deployment))
