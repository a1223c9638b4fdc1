"""The review as an asset: its quarters, its schedule, its messages and its checks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from review_tables import Tables, failing, quarter_of_rows, small_catalog

from analytics_platform.alerting.outbox import Waiting
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import Catalog, Waiver
from analytics_platform.defs import keys
from analytics_platform.defs.manifest import load_manifest
from analytics_platform.defs.reviews import SCHEDULE_TAG, quarterly_review, quarters_from, review_asset
from analytics_platform.governance.review.desk import ReviewDesk, Shown
from analytics_platform.governance.review.quarters import Quarter
from analytics_platform.governance.review.signing import Signing
from analytics_platform.lake.layout import review_key
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings
from asset_checks.reviews import signatures_match_content, waivers_are_current

ZONE = "Europe/Amsterdam"
KEY = "2025-07-01"
"""A quarter that is over by any clock."""
SCHEDULED = {SCHEDULE_TAG: "quarterly_review"}


class Room:
    """A deployment with a quarter of tables, and the review alone."""

    def __init__(self, home: Path, catalog: Catalog, tables: Tables) -> None:
        self.settings = Settings(home=home, history_start=date(2025, 1, 1))
        self.catalog = catalog
        self.tables = tables
        self.store = LocalStore(self.settings.lake_root)
        self.asset = review_asset(catalog, load_manifest(self.settings), self.settings, [])
        self.desk = ReviewDesk(self.store, catalog, ZONE)

    def build(self, tags: dict[str, str] | None = None, key: str = KEY) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [self.asset],
            partition_key=key,
            resources={"store": self.store, "warehouse": self.tables.warehouse},
            tags=tags,
            raise_on_error=False,
        )

    def sign_all(self) -> None:
        sha256 = self.desk.show(Quarter(2025, 3)).review.sha256
        for role in self.catalog.signoff_roles:
            self.desk.sign(
                Quarter(2025, 3), Signing(role, f"Signer of {role}", sha256), datetime(2025, 10, 2, tzinfo=UTC)
            )

    def messages(self) -> list[Waiting]:
        with SqliteStore(self.settings.alerts_path).transaction() as session:
            return session.outbox()


@pytest.fixture(scope="module")
def declared(catalog: Catalog) -> Catalog:
    return small_catalog(catalog)


@pytest.fixture
def room(tmp_path: Path, declared: Catalog) -> Room:
    tables = Tables(tmp_path / "warehouse.duckdb")
    quarter_of_rows(tables, date(2025, 7, 1))
    return Room(tmp_path / "home", declared, tables)


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    assert result.success
    (event,) = result.asset_materializations_for_node("governance__data_quality_review")
    return {name: value.value for name, value in event.metadata.items()}


def test_a_materialization_says_verdicts_hash_and_files(room: Room) -> None:
    told = metadata(room.build())
    review = room.desk.show(Quarter(2025, 3)).review
    assert (told["quarter"], told["status"], told["content_sha256"]) == ("2025Q3", "DRAFT", review.sha256)
    assert told["verdicts"]["finance"] == "yes"  # type: ignore[index]
    assert told["files"] == [review_key("2025Q3", "html"), review_key("2025Q3", "pdf")]
    assert room.store.get(review_key("2025Q3", "pdf")).startswith(b"%PDF")


def test_the_cover_names_the_run_that_built_it_and_those_behind_the_evidence(room: Room) -> None:
    result = room.build()
    building = room.desk.show(Quarter(2025, 3)).review.building
    assert building.run_id == result.run_id
    assert len(building.evidence_runs) == 92


def test_a_scheduled_review_is_told_once_to_each_channel_that_signs(room: Room) -> None:
    room.build(SCHEDULED)
    room.build(SCHEDULED)
    waiting = room.messages()
    assert {each.message.channel for each in waiting} == {"#data-finance", "#data-operations", "#data-platform"}
    assert len(waiting) == 3
    assert {each.message.kind for each in waiting} == {"report"}
    text = waiting[0].message.text
    sha256 = room.desk.show(Quarter(2025, 3)).review.sha256
    assert f"analytics review sign 2025Q3 --role ROLE --name NAME --content {sha256[:12]}" in text
    assert "*Finance* yes" in text


def test_who_builds_by_hand_tells_people_himself_unless_signatures_become_void(room: Room) -> None:
    room.build()
    room.sign_all()
    room.build()
    assert room.messages() == []
    room.tables.add("ops.check_results", failing(date(2025, 8, 10)))
    assert metadata(room.build())["void_signatures"] == 3
    texts = [each.message.text for each in room.messages()]
    assert len(texts) == 3
    assert all("Signatures are void" in text and "finance (differs in" in text for text in texts)
    assert not any("Signer of" in text for text in texts)


def test_quarters_go_from_the_one_of_the_first_day_to_the_running_one() -> None:
    quarters = quarters_from(date(2026, 2, 17), ZONE)
    found = quarters.get_partition_keys(current_time=datetime(2026, 8, 1, tzinfo=UTC))
    assert found == ["2026-01-01", "2026-04-01", "2026-07-01"]


def evaluate(settings: Settings, catalog: Catalog, at: datetime) -> dg.RunRequest | dg.SkipReason:
    schedule = quarterly_review(settings, catalog)
    with dg.DagsterInstance.ephemeral() as instance:
        answer = schedule(dg.build_schedule_context(instance=instance, scheduled_execution_time=at))
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


@pytest.mark.parametrize(
    ("today", "asked"),
    [
        (date(2026, 10, 1), "2026-07-01"),
        (date(2026, 1, 1), None),
        (date(2026, 1, 2), "2025-10-01"),
        (date(2024, 4, 1), None),
        (date(2024, 4, 2), "2024-01-01"),
        (date(2026, 10, 2), None),
        (date(2023, 10, 1), None),
        (date(2023, 10, 2), "2023-07-01"),
    ],
)
def test_the_schedule_builds_the_quarter_that_ended_on_the_first_working_day_alone(
    tmp_path: Path, catalog: Catalog, today: date, asked: str | None
) -> None:
    morning = datetime(today.year, today.month, today.day, 5, tzinfo=UTC)
    answer = evaluate(Settings(home=tmp_path), catalog, morning)
    assert (answer.partition_key if isinstance(answer, dg.RunRequest) else None) == asked


def test_every_first_working_day_of_a_decade_is_one_that_the_schedule_looks_at(catalog: Catalog) -> None:
    from analytics_platform.defs.reviews import HOLIDAYS
    from analytics_platform.governance.review.quarters import first_working_day

    holidays = catalog.holiday_calendars[HOLIDAYS].days
    for number in range(4 * 6):
        quarter = Quarter(2022 + number // 4, number % 4 + 1)
        assert first_working_day(quarter, holidays) - quarter.first_day < timedelta(days=9)


def shown(room: Room) -> dict[str, Shown]:
    return {"2025Q3": room.desk.show(Quarter(2025, 3))}


def test_the_check_holds_for_a_signed_review_and_counts_its_signatures(room: Room) -> None:
    room.build()
    room.sign_all()
    facts = signatures_match_content(shown(room))
    assert (facts.passed, facts.counts["signatures"]) == (True, 3)


def test_the_check_names_what_was_changed(room: Room) -> None:
    room.build()
    room.sign_all()
    key = review_key("2025Q3", "json")
    room.store.put(key, room.store.get(key).replace(b'"source_minor": 1000', b'"source_minor": 1001', 1))
    facts = signatures_match_content(shown(room))
    assert not facts.passed
    assert "2025Q3: review.json says" in facts.offenders[0]


def test_a_check_without_partitions_looks_at_every_review_in_the_lake(room: Room) -> None:
    from analytics_platform.defs.reviews import reviewed_quarters

    room.build()
    assert reviewed_quarters(room.store) == [Quarter(2025, 3)]


def test_a_waiver_that_has_expired_fails_its_check_and_is_named() -> None:
    waiver = Waiver(
        name="known",
        dataset="kpi.kpi_mrr",
        check="limits",
        reason="A price was wrong",
        approved_by="Finance",
        approved_on="2026-08-01",  # type: ignore[arg-type]
        expires_on="2026-08-31",  # type: ignore[arg-type]
    )
    assert waivers_are_current([waiver], []).passed
    facts = waivers_are_current([waiver], [waiver])
    assert (facts.passed, facts.offenders) == (False, ["known: expired on 2026-08-31"])


def test_the_review_is_downstream_of_the_tables_that_it_reads_and_has_its_checks(
    catalog: Catalog, tmp_path: Path
) -> None:
    from analytics_platform.definitions import build_definitions

    graph = build_definitions(Settings(home=tmp_path)).resolve_asset_graph()
    parents = {key.to_user_string() for key in graph.get(keys.REVIEW).parent_keys}
    assert parents >= {
        "ops/ledger",
        "loaded/billing",
        "kpi/revenue/kpi_mrr",
        "kpi/revenue/kpi_receivables",
        "reference/fx_rates",
    }
    checks = {key.name for key in graph.asset_check_keys if key.asset_key == keys.REVIEW}
    assert checks == {"signatures_match_content", "waivers_are_current"}
