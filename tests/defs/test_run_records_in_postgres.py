"""Run records in a real PostgreSQL: old logs go, what is built stays known, and a person in them is severed."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
import sqlalchemy as db
from logged_runs import RUN_ID, run_in
from postgres import PostgresServer

from analytics_platform.catalog import Catalog
from analytics_platform.defs.erasure import erasure_desk
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.resources import store_from, warehouse_from
from analytics_platform.defs.retention import sinks_of
from analytics_platform.defs.run_records import databases_of
from analytics_platform.governance.erasure.database import DatabaseTexts
from analytics_platform.governance.erasure.desk import ErasureDesk
from analytics_platform.governance.erasure.links import Given
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.retention.desk import SurvivorsError
from analytics_platform.governance.retention.sink import CannotCountError, Sink, Tally
from analytics_platform.governance.retention.terms import NO_TENANT, Term, Terms
from analytics_platform.lake.removals import Span
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

TENANT = "brabant-rental"
USER, NEIGHBOUR = "user_kanarienvogel", "user_kanarienvogel2"
EMAIL = "kanarien.vogel@people.example"
TODAY = datetime.now(UTC).date()
IN_TIME, TOO_LATE = TODAY + timedelta(days=30), TODAY + timedelta(days=75)


@dataclass(frozen=True)
class Home:
    """A deployment whose run records lie in a database."""

    settings: Settings
    instance: dg.DagsterInstance
    catalog: Catalog

    @property
    def sink(self) -> Sink:
        sinks = sinks_of(self.settings, self.catalog, store_from(self.settings), warehouse_from(self.settings))
        (found,) = [sink for sink in sinks if sink.name == "table event_logs"]
        return found

    @property
    def desk(self) -> ErasureDesk:
        return erasure_desk(self.settings, catalog=self.catalog)

    @property
    def place(self) -> DatabaseTexts:
        ((dataset, url),) = databases_of(self.settings)
        return DatabaseTexts(dataset, url)

    def term(self, today: date, *held: Span) -> Term:
        term = Terms(self.catalog, today).term("run_records", NO_TENANT)
        assert term is not None
        return Term(term.dataset, term.tenant, term.through, held)

    def execute(self, statement: str, **values: object) -> list[db.Row[tuple[object, ...]]]:
        ((_, url),) = databases_of(self.settings)
        with db.create_engine(url).begin() as connection:
            result = connection.execute(db.text(statement), values)
            return list(result.all()) if result.returns_rows else []

    def say(self, text: str) -> None:
        """Have a run's log and its tags say something."""
        run = self.instance.get_run_by_id(RUN_ID)
        assert run is not None
        self.instance.report_engine_event(f"a step failed for {text}", run)
        self.instance.add_run_tags(RUN_ID, {"analytics/reason": f"asked by {text}"})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, catalog: Catalog) -> Iterator[Home]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), **postgres.database("records"))
    warehouse_from(settings).replace_table("ops.anything", pa.table({"n": [1]}))
    with open_instance(settings) as instance:
        run_in(instance)
        yield Home(settings, instance, catalog)


@pytest.fixture
def person(home: Home) -> Iterator[Person]:
    """Somebody in a log, by id and by address, and in tags; a neighbour has a longer id."""
    for text in (EMAIL.title(), NEIGHBOUR, USER):
        home.say(text)
    yield Person(TENANT, frozenset({USER}), frozenset({EMAIL}), "erased_1")
    home.execute("delete from event_logs where dagster_event_type = 'ENGINE_EVENT'")


def nothing_held(dataset: str, day: date | None) -> bool:
    return False


def run_records_held(dataset: str, day: date | None) -> bool:
    return dataset == "run_records"


def left(home: Home, person: Person) -> int | None:
    (found,) = [each for each in home.desk.search.survivors(person, nothing_held) if "run_records" in each.sink]
    assert found.searched > 5
    return found.units


def test_logs_in_their_term_are_not_due(home: Home) -> None:
    assert list(home.sink.tallies(Terms(home.catalog, IN_TIME))) == []
    assert home.sink.survivors(home.term(IN_TIME)) == 0


def test_a_hold_keeps_the_log_and_both_counts_know_it(home: Home) -> None:
    held = Span(TODAY - timedelta(days=2), TODAY + timedelta(days=2))
    assert home.sink.survivors(home.term(TOO_LATE, held)) == 0
    home.sink.remove(home.term(TOO_LATE, held))
    assert home.sink.survivors(home.term(TOO_LATE)) > 0


def test_old_logs_go_by_two_counts_that_agree_and_what_is_built_stays_known(home: Home) -> None:
    (tally,) = home.sink.tallies(Terms(home.catalog, TOO_LATE))
    assert isinstance(tally, Tally)
    assert tally.units == home.sink.survivors(home.term(TOO_LATE)) > 0
    home.sink.remove(home.term(TOO_LATE))
    assert home.sink.survivors(home.term(TOO_LATE)) == 0
    assert list(home.sink.tallies(Terms(home.catalog, TOO_LATE))) == []
    assert len(home.instance.get_materialized_partitions(dg.AssetKey("one"))) == 20
    kinds = {row[0] for row in home.execute("select distinct dagster_event_type from event_logs")}
    assert {"ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION", "PIPELINE_SUCCESS"} <= kinds
    assert "STEP_START" not in kinds
    run_in(home.instance, RUN_ID.replace("1", "3"))  # and Dagster goes on


def test_what_cannot_be_counted_is_no_count_of_nothing(tmp_path: Path, catalog: Catalog) -> None:
    settings = Settings(home=tmp_path, dagster_postgres_host=str(tmp_path), dagster_postgres_user="nobody")
    home = Home(settings, None, catalog)  # type: ignore[arg-type]
    with pytest.raises(CannotCountError, match="cannot be counted"):
        home.sink.survivors(home.term(TOO_LATE))


def test_a_person_is_found_and_severed_and_the_search_afterwards_is_another_way(home: Home, person: Person) -> None:
    before = left(home, person)
    assert before == 4  # two lines of the log, the run, its tag
    place = home.place
    (found,) = place.find(person, nothing_held)
    assert (found.dataset, found.action) == ("run_records", "sever")
    assert left(home, person) == before
    assert [each.units for each in place.erase(person, nothing_held)] == [found.units]
    assert left(home, person) == 0
    assert list(place.erase(person, nothing_held)) == []
    tags = home.instance.get_run_by_id(RUN_ID).tags  # type: ignore[union-attr]
    assert tags["analytics/reason"].startswith("asked by erased_1_")
    messages = [each.message for each in home.instance.all_logs(RUN_ID)]
    assert f"a step failed for {NEIGHBOUR}" in messages
    assert sum("a step failed for erased_1_" in message for message in messages) == 2


def test_a_hold_beats_an_erasure_of_run_records(home: Home, person: Person) -> None:
    place = home.place
    assert [each.action for each in place.find(person, run_records_held)] == ["hold"]
    assert list(place.erase(person, run_records_held)) == []
    assert left(home, person)
    searched = home.desk.search.survivors(person, run_records_held)
    assert not [each for each in searched if "run_records" in each.sink]


def test_an_erasure_on_request_reaches_the_database(home: Home, person: Person) -> None:
    given = Given(frozenset({USER}), frozenset({("email", EMAIL)}))
    asked = home.desk.request(TENANT, given, by="ann", reason="art. 17(1)(b)")
    assert ("database", "sever") in {(each.sink, each.action) for each in asked.plan.found}
    home.desk.approve(asked.request, asked.plan.hash, by="bob")
    assert home.desk.run(asked.request, by="bob").ok
    assert left(home, person) == 0


def test_who_stands_where_nothing_can_be_severed_fails_the_erasure(home: Home) -> None:
    body = zlib.compress(b'{"job": "for user_amsel"}')
    home.execute(
        "insert into snapshots (snapshot_id, snapshot_body, snapshot_type) values ('x', :body, 'JOB')", body=body
    )
    home.say("user_amsel")
    asked = home.desk.request(TENANT, Given(frozenset({"user_amsel"}), frozenset()), by="ann", reason="art. 17")
    home.desk.approve(asked.request, asked.plan.hash, by="bob")
    with pytest.raises(SurvivorsError, match="database of run_records"):
        home.desk.run(asked.request, by="bob")
