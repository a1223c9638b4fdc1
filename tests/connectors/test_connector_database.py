"""Pulls from a real PostgreSQL: what is new, what was changed, what was committed late, and after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from connector_house import NOW, House
from postgres import PostgresServer, running_postgres

from analytics_platform.connectors.loading import AnyConnector
from analytics_platform.connectors.pulls import PullError
from analytics_platform.connectors.running import Deployment, run_stream

pytestmark = pytest.mark.integration

TABLE = """
create table payments (
  id int primary key, tenant text not null, invoice text, amount numeric(12, 2), currency text,
  paid_at timestamp, note text, updated_at timestamptz
)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def product(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(host=server.folder, user=server.user, dbname="postgres", autocommit=True) as connection:
        connection.execute("drop table if exists payments")
        connection.execute(TABLE)
        yield connection


def payments(**stream: Any) -> dict[str, Any]:
    return {
        "title": "Payments",
        "owner": "finance",
        "source": "sql_database",
        "time_zone": "Europe/Amsterdam",
        "credentials": {"secret": "product"},
        "streams": {
            "payments": {
                "table": "payments",
                "cursor": "updated_at",
                **stream,
                "rules": {
                    "paid": {
                        "event": "invoice.paid",
                        "tenant": {"column": "tenant"},
                        "key": ["id"],
                        "version": ["amount"],
                        "properties": {
                            "invoice_id": "invoice",
                            "payment_id": "id",
                            "amount_minor": "amount",
                            "currency": "currency",
                            "paid_at": "paid_at",
                            "fully_paid": {"constant": True},
                        },
                    }
                },
            }
        },
    }


class Product(House):
    """A deployment whose secret is the address of the product's database."""

    address = ""

    @property
    def deployment(self) -> Deployment:
        found = super().deployment
        return Deployment(
            found.catalog, found.store, found.identities, lambda _: self.address, found.files, found.history_start
        )


@pytest.fixture
def shop(house: House, server: PostgresServer) -> Product:
    shop = Product(house.root, house.catalog)
    shop.address = server.url
    return shop


def pay(product: psycopg.Connection[Any], number: int, amount: str = "121.00", changed: str = "") -> None:
    product.execute(
        "insert into payments values (%s, 'brabant-rental', %s, %s, 'EUR', '2026-03-15 14:30', 'J. Jansen', %s)"
        " on conflict (id) do update set amount = excluded.amount, updated_at = excluded.updated_at",
        (number, f"inv-{number}", amount, changed or f"2026-03-15 14:30:{number:02d}+01"),
    )


def test_rows_of_a_table_become_events_and_only_what_changed_is_read_again(
    shop: Product, product: psycopg.Connection[Any]
) -> None:
    connector = shop.connector("product", payments())
    for number in (1, 2, 3):
        pay(product, number)
    assert shop.run(connector, "payments").accepted == 3
    row = shop.landed()[0]
    assert (row["properties"]["amount_minor"], row["properties"]["paid_at"]) == (12100, "2026-03-15T14:30:00+01:00")

    pay(product, 2, "99.50", "2026-03-16 09:00+01")
    pay(product, 4, "10.00", "2026-03-16 10:00+01")
    account = shop.run(connector, "payments", NOW + timedelta(hours=1))
    # The row at the cursor's edge comes again.
    assert (account.rows, account.accepted, account.duplicates) == (3, 2, 1)
    assert len(shop.landed()) == 5
    assert shop.run(connector, "payments", NOW + timedelta(hours=2)).accepted == 0


def test_a_row_that_changes_again_within_the_same_tick_is_not_missed(
    shop: Product, product: psycopg.Connection[Any]
) -> None:
    connector = shop.connector("product", payments())
    pay(product, 1, "100.00", "2026-03-16 09:00+01")
    shop.run(connector, "payments")
    pay(product, 1, "200.00", "2026-03-16 09:00+01")
    assert shop.run(connector, "payments", NOW + timedelta(hours=1)).accepted == 1


def test_what_was_committed_late_is_read_within_the_overlap(shop: Product, product: psycopg.Connection[Any]) -> None:
    narrow, wide = (shop.connector(f"overlap_{n}", payments(overlap_seconds=n)) for n in (0, 600))
    pay(product, 1, "100.00", "2026-03-16 09:00+01")
    for connector in (narrow, wide):
        shop.run(connector, "payments")
    pay(product, 2, "50.00", "2026-03-16 08:55+01")
    found = [shop.run(connector, "payments", NOW + timedelta(hours=1)).accepted for connector in (narrow, wide)]
    assert found == [0, 1]


def test_a_table_without_a_cursor_is_read_whole_and_doubles_nothing(
    shop: Product, product: psycopg.Connection[Any]
) -> None:
    connector = shop.connector("product", payments(cursor=None))
    pay(product, 1)
    shop.run(connector, "payments")
    pay(product, 2)
    account = shop.run(connector, "payments", NOW + timedelta(hours=1))
    assert (account.rows, account.accepted, account.duplicates) == (2, 1, 1)


def test_a_local_time_that_happens_twice_is_told_and_lands_once_the_mapping_says_which(
    shop: Product, product: psycopg.Connection[Any]
) -> None:
    connector = shop.connector("product", payments())
    pay(product, 1)
    product.execute("update payments set paid_at = '2025-10-26 02:30'")
    account = shop.run(connector, "payments")
    assert account.reasons == {"unmapped": 1}
    assert "twice at the end of summer time" in shop.letters()[0].detail

    from analytics_platform.connectors.landing import remade
    from analytics_platform.intake.replay import Selection, replay

    mended = shop.connector("product", {**payments(), "ambiguous": "later"})
    deployment = shop.deployment
    report = replay(
        shop.store,
        shop.catalog,
        Selection(),
        identities=deployment.identities,
        now=NOW,
        remade=remade({"product": mended}, shop.catalog, deployment.identities),
    )
    assert (report.accepted, report.still_dead) == (1, 0)
    assert shop.landed()[0]["properties"]["paid_at"] == "2025-10-26T02:30:00+01:00"
    assert shop.run(mended, "payments", NOW + timedelta(hours=1)).duplicates == 1


def test_a_database_out_of_reach_is_told_without_its_address(shop: Product) -> None:
    connector = shop.connector("product", payments())
    shop.address = "postgresql+psycopg://reader:hunter22@127.0.0.1:1/product"
    with pytest.raises(PullError, match=r"product: payments: the source cannot be reached") as raised:
        run_stream(shop.deployment, connector, "payments", NOW)
    assert "hunter22" not in str(raised.value)


def _child(root: Path, address: str, connector: AnyConnector) -> subprocess.Popen[bytes]:
    """A process of its own that runs the connector, and says on standard output when it begins to land."""
    program = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from connector_house import House, NOW
from analytics_platform.catalog import load_catalog
from analytics_platform.connectors import landing, running
from analytics_platform.connectors.loading import load_connector
from analytics_platform.connectors.running import Deployment
catalog = load_catalog()
found = House(Path({str(root)!r}), catalog).deployment
deployment = Deployment(catalog, found.store, found.identities, lambda _: {address!r}, found.files, found.history_start)
take = landing.Lander.take
def telling(self, number, row):
    take(self, number, row)
    if number == 50:
        print("landing", flush=True)
        __import__("time").sleep(60)
landing.Lander.take = telling
running.run_stream(deployment, load_connector(Path({str(root / "product.yaml")!r}), catalog), "payments", NOW)
"""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)


def test_a_process_that_is_killed_while_it_lands_loses_nothing_and_doubles_nothing(
    shop: Product, product: psycopg.Connection[Any]
) -> None:
    connector = shop.connector("product", payments())
    product.execute(
        "insert into payments select n, 'brabant-rental', 'inv-' || n, n, 'EUR', '2026-03-15 14:30', '', "
        "'2026-03-15 15:00+01'::timestamptz + n * interval '1 second' from generate_series(1, 60) n"
    )
    child = _child(shop.root, shop.address, connector)
    assert child.stdout is not None
    assert child.stdout.readline() == b"landing\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert "whole.json" in shop.staged()
    product.execute("update payments set amount = 999, updated_at = '2026-03-17' where id = 60")

    first = shop.run(connector, "payments", NOW + timedelta(minutes=5))
    assert first.accepted == 61  # the batch that was left, and then the row that has changed since
    assert len({row["message_id"] for row in shop.landed()}) == len(shop.landed()) == 61
    assert shop.staged() == []
