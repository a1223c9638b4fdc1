"""A planted person over HTTP: not in the spool, not in the lake that it is shipped to, and not in the logs."""

from __future__ import annotations

import logging
from pathlib import Path

import orjson
import pytest
from http_house import TENANT, House, batch, house_catalog, raw_batch, running_house
from known_keys import KEYS, SEALS
from planted import BROKEN, NOT_KEPT, PLANTED, messages, survivors

from analytics_platform.catalog import Catalog
from analytics_platform.identities.keys import IdentityKeysError
from analytics_platform.identities.sealing import unseal
from analytics_platform.identities.table import IdentitiesTable, read_identities
from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.intake.replay import Selection, dead_letters
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.store import LocalStore


@pytest.fixture(scope="module")
def own_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return house_catalog(tmp_path_factory.mktemp("tenants"))


def send(house: House) -> None:
    own = [orjson.dumps(message) for message in messages(TENANT)]
    assert house.post("/v1/batch", raw_batch(*own[:2], BROKEN + b"}", *own[2:])).status_code == 200
    shared = {"context": messages(TENANT)[0]["context"]}
    assert house.post("/v1/batch", batch({"type": "page"}, **shared)).status_code == 200


def test_neither_spool_nor_lake_nor_logs_hold_a_planted_value(
    tmp_path: Path, own_catalog: Catalog, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    store = LocalStore(tmp_path / "lake")
    caplog.set_level(logging.DEBUG)
    with running_house(tmp_path, own_catalog) as house:
        send(house)
        house.spool.drain()
        spooled = list((tmp_path / "spool").glob("*.segment"))
        assert spooled
        assert survivors(tmp_path / "spool") == set()
        Shipper(house.spool, store).ship_waiting(final=True)

    take = IdentitiesTable(store, KEYS).take
    build_partitions(store, streams=list(own_catalog.streams), partitions=landed_partitions(store), identifiers=take)
    assert survivors(store.root) == set()
    opened = {unseal(KEYS.of(TENANT), row["sealed"]).decode() for row in read_identities(store, TENANT).to_pylist()}
    assert set(PLANTED) - NOT_KEPT <= opened
    letters = [each.letter for each in dead_letters(store, Selection(), SEALS)]
    assert any(letter.shared and letter.shared.get("context") for letter in letters)

    logs = tmp_path / "logs"
    logs.mkdir()
    said = capsys.readouterr()
    (logs / "all").write_text(f"{caplog.text}{said.out}{said.err}")
    assert survivors(logs) == set()


def test_without_keys_a_client_is_told_to_come_again_and_nothing_is_taken_in(
    tmp_path: Path, own_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(tenant: str) -> None:
        raise IdentityKeysError("the file of keys cannot be read; mend its permissions")

    with running_house(tmp_path, own_catalog) as house:
        monkeypatch.setattr(KEYS, "of", lost)
        answer = house.post("/v1/batch", batch(messages(TENANT)[1]))

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert house.spool.given == []
