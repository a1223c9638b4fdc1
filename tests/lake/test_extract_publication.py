"""Publications of extracts: whole or not at all, one after the other, and without what was removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.lake import layout
from analytics_platform.lake.as_published import AsPublished
from analytics_platform.lake.extract_audit import audit
from analytics_platform.lake.extract_manifest import (
    Change,
    Column,
    Manifest,
    ManifestError,
    Part,
    Schema,
    Sheet,
    Table,
    as_json,
    columns_of,
    current_table,
    from_json,
    read_manifest,
    scan_rows,
)
from analytics_platform.lake.extracts import (
    GRACE,
    PublicationInterruptedError,
    Stamp,
    newest_manifest,
    parquet_bytes,
    publish,
    put_part,
    rewrite_rows,
    settle,
)
from analytics_platform.lake.store import LocalStore, ObjectInfo, ObjectStore

AT = datetime(2026, 6, 30, 4, tzinfo=UTC)
LATER = AT + GRACE + timedelta(minutes=1)
ONE, TWO = date(2026, 6, 28), date(2026, 6, 29)
_SCHEMA = pa.schema([("day", pa.date32()), ("tenant_id", pa.string()), ("value", pa.int64())])
SCHEMA = Schema(1, "day", columns_of(_SCHEMA))


class CrashError(Exception):
    """The process ends here."""


class CrashingStore(LocalStore):
    """A store whose user dies before or after its n-th write."""

    def __init__(self, root: Path, at: int, *, before: bool) -> None:
        super().__init__(root)
        self.left, self.before = at, before

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        self._around(lambda: LocalStore.put(self, key, data, if_none_match=if_none_match))

    def delete(self, key: str) -> None:
        self._around(lambda: LocalStore.delete(self, key))

    def _around(self, write: Callable[[], None]) -> None:
        self.left -= 1
        if self.left == 0 and self.before:
            raise CrashError
        write()
        if self.left == 0:
            raise CrashError


class PublishingStore(LocalStore):
    """A store in which somebody else publishes once a removal is committed, before anything is listed or deleted."""

    def __init__(self, root: Path, committed: str, publications: list[Callable[[], object]]) -> None:
        super().__init__(root)
        self.committed, self.publications = committed, publications

    def list(self, prefix: str) -> list[ObjectInfo]:
        if prefix.startswith("extracts/finance/mrr/"):
            self._publish()
        return LocalStore.list(self, prefix)

    def delete(self, key: str) -> None:
        self._publish()
        LocalStore.delete(self, key)

    def _publish(self) -> None:
        while self.publications and self.info(self.committed):
            self.publications.pop()()


class OvertakenStore(LocalStore):
    """A store in which somebody else publishes between the listing of manifests and the reading of the newest."""

    def __init__(self, root: Path, publications: list[Callable[[], object]]) -> None:
        super().__init__(root)
        self.publications = publications

    def get(self, key: str) -> bytes:
        if self.publications and key.startswith(layout.extract_manifest_versions_prefix("finance")):
            self.publications.pop()()
        return LocalStore.get(self, key)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


def rows(day: date, value: int) -> pa.Table:
    tenants = ["albion-stage", "brabant-rental"]
    return pa.table({"day": [day] * 2, "tenant_id": tenants, "value": [value, value + 1]}, schema=_SCHEMA)


def publish_days(store: ObjectStore, days: Mapping[date, int], at: datetime = AT, table: str = "mrr") -> Manifest:
    parts = {day: put_part(store, "finance", table, day, parquet_bytes(rows(day, n)), 1) for day, n in days.items()}

    def edit(base: Manifest) -> Mapping[str, Table]:
        known = base.tables.get(table, Table(SCHEMA, (), {}))
        return {**base.tables, table: replace(known, days={**known.days, **parts})}

    return publish(store, "finance", edit, Stamp(at, "run-1", "0" * 64), swept={table: list(days)})


def remove_tenant(store: ObjectStore, at: datetime = AT) -> None:
    def rewrite(_: date, found: pa.Table) -> pa.Table:
        kept = found.filter(pc.not_equal(found["tenant_id"], "albion-stage"))
        return kept if kept.num_rows < found.num_rows else found

    rewrite_rows(store, "finance", "mrr", lambda day: day == ONE, rewrite, at)


def seen(store: ObjectStore) -> list[tuple[object, ...]]:
    """What a reader finds who follows the manifest: the same in Parquet and in the CSV that it names."""
    manifest = read_manifest(store, "finance")
    assert manifest is not None
    table = manifest.tables["mrr"]
    found = scan_rows([store.local_path(part.key) for part in table.days.values()], table.schema).collect()
    assert table.csv is not None
    sheet = pl.read_csv(store.get(table.csv.key), try_parse_dates=True)
    assert sheet.rows() == found.rows()
    problems = [each for each in audit(store, "finance", AT)["mrr"].problems if "was committed" not in each]
    assert [each for each in problems if "/mrr.csv" not in each] == []
    return found.rows()


def every_step(tmp_path: Path, write: Callable[[ObjectStore], object], prepare: Callable[[ObjectStore], object]) -> int:
    """Crash before and after each write; whatever is seen then is old or new, and after trying again it is new."""
    reached = 0
    for step in range(1, 40):
        for before in (True, False):
            root = tmp_path / f"{step}-{before}"
            prepare(LocalStore(root))
            old = seen(LocalStore(root))
            try:
                write(CrashingStore(root, step, before=before))
            except CrashError:
                reached = step
            half = seen(LocalStore(root))
            write(LocalStore(root))
            new = seen(LocalStore(root))
            assert half in (old, new)
            assert audit(LocalStore(root), "finance", LATER)["mrr"].problems == ()
        if reached < step:
            return reached
    raise AssertionError("it never came to an end")


def test_a_crash_at_every_step_of_a_publication_leaves_the_old_or_the_new_set(tmp_path: Path) -> None:
    steps = every_step(
        tmp_path,
        lambda store: publish_days(store, {ONE: 7, TWO: 9}, LATER),
        lambda store: publish_days(store, {ONE: 1, TWO: 2}),
    )
    assert steps >= 6  # two days, CSV, number, manifest, address


def test_a_crash_at_every_step_of_a_removal_leaves_the_old_or_the_new_set_and_in_the_end_nothing(
    tmp_path: Path,
) -> None:
    def prepare(store: ObjectStore) -> None:
        publish_days(store, {ONE: 1, TWO: 2})
        publish_days(store, {ONE: 3})

    assert every_step(tmp_path, remove_tenant, prepare) >= 8
    for root in tmp_path.iterdir():
        store = LocalStore(root)
        folder = store.list(f"extracts/finance/mrr/day={ONE}")
        assert len(folder) == 1
        assert b"albion-stage" not in store.get(folder[0].key)
        assert store.get("extracts/finance/mrr/mrr.csv").count(b"albion-stage") == 1  # of the day that stays


def test_what_is_superseded_can_be_read_for_a_day_and_then_goes(store: LocalStore) -> None:
    old = publish_days(store, {ONE: 1})
    publish_days(store, {ONE: 2}, AT + timedelta(hours=1))
    assert [key for key in old.keys if store.info(key) is None] == []
    publish_days(store, {TWO: 2}, AT + timedelta(hours=2))
    assert [key for key in old.keys if store.info(key) is None] == []
    newest = publish_days(store, {TWO: 3}, LATER + timedelta(hours=1))
    assert [key for key in old.keys if store.info(key) is not None] == []
    newest = publish_days(store, {TWO: 4}, LATER + timedelta(hours=2))
    assert not set(newest.superseded) & old.keys


def test_what_comes_back_with_the_same_bytes_is_not_swept(store: LocalStore) -> None:
    first = publish_days(store, {ONE: 1})
    publish_days(store, {ONE: 2})
    again = publish_days(store, {ONE: 1}, LATER)
    assert again.tables["mrr"].days == first.tables["mrr"].days
    assert audit(store, "finance", LATER)["mrr"].problems == ()


def test_what_a_broken_publication_left_goes_when_its_day_is_published_again(store: LocalStore) -> None:
    publish_days(store, {ONE: 1})
    left = put_part(store, "finance", "mrr", ONE, parquet_bytes(rows(ONE, 9)), 1)
    tomorrow = datetime.now(UTC) + GRACE + timedelta(minutes=1)
    assert audit(store, "finance", tomorrow)["mrr"].problems == (f"{left.key}: named by nothing for more than a day",)
    publish_days(store, {ONE: 2}, datetime.now(UTC))
    assert store.info(left.key) is not None  # a publication under way may be about to name it
    publish_days(store, {ONE: 3}, tomorrow)
    assert store.info(left.key) is None


def test_of_two_publications_at_once_neither_is_lost(store: LocalStore) -> None:
    part = put_part(store, "finance", "mrr", TWO, parquet_bytes(rows(TWO, 2)), 1)
    others = iter([lambda: publish_days(store, {ONE: 1})])

    def edit(base: Manifest) -> Mapping[str, Table]:
        next(others, lambda: None)()
        known = base.tables.get("mrr", Table(SCHEMA, (), {}))
        return {"mrr": replace(known, days={**known.days, TWO: part})}

    manifest = publish(store, "finance", edit, Stamp(AT))
    assert manifest.number == 2
    assert sorted(manifest.tables["mrr"].days) == [ONE, TWO]
    assert read_manifest(store, "finance") == manifest


def test_who_has_begun_to_read_goes_on_with_one_publication(store: LocalStore) -> None:
    publish_days(store, {ONE: 1, TWO: 2})
    begun = AsPublished(store)
    before = seen(begun)
    publish_days(store, {ONE: 3})
    assert seen(begun) == before
    assert seen(AsPublished(store)) == seen(store) != before


def test_whose_manifest_is_swept_before_it_is_read_begins_from_the_one_after_it(
    store: LocalStore, tmp_path: Path
) -> None:
    first = publish_days(store, {ONE: 7})
    swept_at = datetime.now(UTC) + GRACE + timedelta(minutes=1)
    overtaken = OvertakenStore(tmp_path / "lake", [lambda: publish_days(store, {ONE: 8}, swept_at)])
    assert newest_manifest(overtaken, "finance").number == first.number + 1
    assert len(store.list(layout.extract_manifest_versions_prefix("finance"))) == 1


def test_publishing_the_same_again_makes_no_other_manifest(store: LocalStore) -> None:
    first = publish_days(store, {ONE: 1})
    before = {info.key: store.get(info.key) for info in store.list("")}
    assert publish_days(store, {ONE: 1}, LATER) == first
    assert {info.key: store.get(info.key) for info in store.list("")} == before


def test_an_object_that_was_removed_meanwhile_is_never_named(store: LocalStore) -> None:
    publish_days(store, {ONE: 1})
    part = put_part(store, "finance", "mrr", TWO, parquet_bytes(rows(TWO, 2)), 1)
    remove_tenant(store)
    with pytest.raises(PublicationInterruptedError, match=r"day=2026-06-29/.* was removed .* build its day again"):
        publish(
            store, "finance", lambda base: {"mrr": replace(base.tables["mrr"], days={TWO: part}, csv=None)}, Stamp(AT)
        )
    assert sorted(newest_manifest(store, "finance").tables["mrr"].days) == [ONE]


def test_a_removal_leaves_what_is_published_while_it_deletes(store: LocalStore) -> None:
    publish_days(store, {ONE: 1})
    publish_days(store, {ONE: 3})
    deleting = PublishingStore(
        store.root, layout.extract_manifest_version_key("finance", 3), [lambda: publish_days(store, {TWO: 2})]
    )
    remove_tenant(deleting)
    assert not deleting.publications
    assert audit(store, "finance", AT)["mrr"].problems == ()
    assert [row[2] for row in seen(store)] == [4, 2, 3]


def test_a_table_that_is_withdrawn_and_published_again_keeps_its_address(store: LocalStore) -> None:
    publish_days(store, {ONE: 1})
    withdrawn = publish(store, "finance", lambda base: {}, Stamp(AT))
    assert "extracts/finance/mrr/mrr.csv" in withdrawn.superseded
    publish_days(store, {ONE: 1}, AT + timedelta(hours=1))
    publish_days(store, {ONE: 2}, LATER + timedelta(hours=1))
    assert audit(store, "finance", LATER)["mrr"].problems == ()


def test_a_table_without_days_has_no_csv_for_longer_than_a_day(store: LocalStore) -> None:
    publish_days(store, {ONE: 1})
    publish(store, "finance", lambda base: {"mrr": replace(base.tables["mrr"], days={})}, Stamp(AT))
    publish_days(store, {TWO: 1}, LATER, table="other")
    assert store.list("extracts/finance/mrr/") == []


def test_objects_from_before_there_were_manifests_are_read_and_named_by_the_first(store: LocalStore) -> None:
    for day, value in ((ONE, 1), (TWO, 2)):
        key = f"extracts/finance/mrr/day={day}/extract.parquet"
        store.put(key, parquet_bytes(rows(day, value).replace_schema_metadata({"schema_version": "3"})))
    table = current_table(store, "finance", "mrr")
    assert table is not None
    assert (sorted(table.days), table.schema.version, table.schema.day_column) == ([ONE, TWO], 3, "day")
    manifest = publish_days(store, {TWO: 5})
    assert manifest.tables["mrr"].days[ONE].key.endswith(f"day={ONE}/extract.parquet")
    assert list(manifest.superseded) == [f"extracts/finance/mrr/day={TWO}/extract.parquet"]
    assert [row[2] for row in seen(store)] == [1, 2, 5, 6]


def test_a_restored_home_follows_the_newest_manifest_that_came_with_its_objects(store: LocalStore) -> None:
    first = publish_days(store, {ONE: 1})
    ahead = as_json(replace(first, number=2, tables={}))
    store.put(layout.extract_manifest_key("finance"), ahead)  # read after the listing that the backup was written by
    settle(store, "finance")
    assert read_manifest(store, "finance") == first


def test_a_manifest_that_is_none_says_which_and_the_mend(store: LocalStore) -> None:
    for body in (b"{", b"{}", b'{"format": 2}', b"[]"):
        store.put(layout.extract_manifest_key("finance"), body)
        with pytest.raises(ManifestError, match=r"extracts/finance/manifest\.json is "):
            read_manifest(store, "finance")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda store, part, sheet: store.delete(part.key), "is gone"),
        (lambda store, part, sheet: store.put(part.key, b"short"), "has 5 bytes instead of"),
        (lambda store, part, sheet: store.put(part.key, store.get(part.key)[::-1]), "has other bytes than"),
        (lambda store, part, sheet: store.put(sheet.key, store.get(sheet.key).upper()), "has other bytes than"),
        (lambda store, part, sheet: store.put(sheet.address, b""), "is not the CSV that the manifest names"),
        (lambda store, part, sheet: store.delete(sheet.address), "mrr.csv: is gone"),
    ],
)
def test_every_kind_of_damage_is_a_problem(
    store: LocalStore, damage: Callable[[LocalStore, Part, Sheet], None], problem: str
) -> None:
    table = publish_days(store, {ONE: 1}).tables["mrr"]
    assert audit(store, "finance", AT)["mrr"].problems == ()
    assert table.csv is not None
    damage(store, table.days[ONE], table.csv)
    (found,) = audit(store, "finance", AT)["mrr"].problems
    assert problem in found


def test_a_manifest_that_counts_wrong_is_a_problem(store: LocalStore) -> None:
    manifest = publish_days(store, {ONE: 1})
    table = manifest.tables["mrr"]
    wrong = replace(table, days={ONE: replace(table.days[ONE], rows=99)})
    for key in (layout.extract_manifest_key("finance"), layout.extract_manifest_version_key("finance", 1)):
        store.put(key, as_json(replace(manifest, tables={"mrr": wrong})))
    assert audit(store, "finance", AT)["mrr"].problems == (f"{table.days[ONE].key}: has 2 rows instead of 99",)


names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
texts = st.text(max_size=20)
counts = st.integers(0, 10**9)
hashes = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
days = st.dates(date(2020, 1, 1), date(2040, 1, 1))
schemas = st.builds(
    Schema, st.integers(1, 99), names, st.lists(st.builds(Column, names, names, names, texts)).map(tuple)
)
tables = st.builds(
    Table,
    schemas,
    st.lists(st.builds(Change, counts, days, names, st.lists(texts).map(tuple), texts), max_size=3).map(tuple),
    st.dictionaries(days, st.builds(Part, texts, counts, counts, hashes, counts), max_size=5),
    st.none() | st.builds(Sheet, texts, texts, counts, counts, hashes, days, days),
    counts,
)


@given(
    manifest=st.builds(
        Manifest,
        names,
        counts,
        moments,
        st.none() | names,
        st.none() | hashes,
        st.dictionaries(names, tables, max_size=3),
        st.dictionaries(texts, moments, max_size=3),
    )
)
def test_a_manifest_comes_back_from_its_json_and_always_as_the_same_bytes(manifest: Manifest) -> None:
    data = as_json(manifest)
    again = from_json(data, "m")
    assert again == manifest
    shuffled = replace(again, tables=dict(reversed(again.tables.items())))
    assert as_json(shuffled) == data
