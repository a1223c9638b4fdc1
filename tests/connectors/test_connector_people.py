"""A person whom a connector brought: found and erased in what it refused and in what it left behind, and kept out."""

from __future__ import annotations

import pytest
from connector_house import HEADER, NOW, ROW, House, invoices
from known_keys import KEYS

from analytics_platform.catalog import Catalog
from analytics_platform.connectors import running
from analytics_platform.connectors.landing import remade
from analytics_platform.connectors.running import run_stream
from analytics_platform.defs.retention import home_places
from analytics_platform.governance.erasure.files import HomeFiles
from analytics_platform.governance.erasure.lake import DeadLetterObjects
from analytics_platform.governance.erasure.person import Person
from analytics_platform.intake.replay import Selection, replay
from analytics_platform.settings import Settings

PERSON = Person("brabant-rental", frozenset({"cust-1"}), frozenset(), "erased_x")


def nobody_is_held(*_: object) -> bool:
    return False


def test_a_refused_row_is_emptied_and_still_counts(house: House, catalog: Catalog) -> None:
    connector = house.connector("books", invoices())
    house.drop(connector, "june.csv", f"{HEADER}\n{ROW.replace('1.234,56', '?')}\n{ROW.replace('cust-1', 'cust 2')}\n")
    assert house.run(connector, "invoices").dead_lettered == 2
    letters = DeadLetterObjects(house.store, KEYS)
    assert sum(found.units for found in letters.find(PERSON, nobody_is_held)) == 1
    list(letters.erase(PERSON, nobody_is_held))
    assert sorted(len(letter.raw) > 0 for letter in house.letters()) == [False, True]
    report = replay(
        house.store,
        catalog,
        Selection(),
        identities=KEYS,
        now=NOW,
        remade=remade({"books": connector}, catalog, KEYS),
    )
    assert (report.accepted, report.not_replayable, report.still_dead) == (0, 1, 1)


class Killed(BaseException):
    """The process ends here."""


def test_rows_that_a_killed_run_left_go_and_the_next_run_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = house.connector("books", {**invoices(), "afterwards": "keep"})
    house.drop(connector, "june.csv", f"{HEADER}\n{ROW}\n")
    with monkeypatch.context() as patched:
        patched.setattr(running._Run, "_land", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            run_stream(house.deployment, connector, "invoices", NOW)
    settings = Settings(home=house.root)
    (house.root / "files").rename(settings.connector_files)
    files = HomeFiles({"connector_files": home_places(settings)["connector_files"]})
    list(files.erase(PERSON, nobody_is_held))
    assert not list((settings.connector_files / "staging").rglob("rows.ndjson"))
    settings.connector_files.rename(house.root / "files")
    assert house.run(connector, "invoices").accepted == 1  # the file in the drop folder is whoever's who put it there
    (house.root / "files").rename(settings.connector_files)
    list(files.erase(PERSON, nobody_is_held))
    assert not list((settings.connector_files / "taken").rglob("*.csv"))
