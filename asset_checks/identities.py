"""Direct identifiers: none in clear where references have taken their place, and the sealed ones still open.

What is told is how many texts of which column look like what, and never one of them.
"""

import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import orjson
import pyarrow.parquet as pq

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.identifiers import plain_name
from analytics_platform.defs import keys
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import UnsealedError, unseal
from analytics_platform.identities.table import read_object
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.layout import LANDING_PREFIX, RAW_PREFIX, identities_prefix
from analytics_platform.lake.schema import JSON_COLUMNS
from analytics_platform.lake.store import ObjectInfo, ObjectStore
from asset_checks.factory import Facts, Scope, check

_SEARCHED = timedelta(days=2)
_SEARCHED_OBJECTS = 500
"""Of each place; the newest ones. Older ones were searched when they were new."""

_TEXT_COLUMNS = ("message_id", "user_id", "anonymous_id", *JSON_COLUMNS)
_ADDRESS = "ip_address"

Row = Mapping[str, Any]
_Finds = Counter[tuple[str, str]]
"""How many texts of a column look like what a pattern finds."""


def identity_checks(catalog: Catalog, identity_keys: IdentityKeys) -> list[dg.AssetChecksDefinition]:
    """The checks of the identities table."""
    return [
        check(
            keys.IDENTITIES,
            "no_identifier_in_clear",
            lambda scope: no_identifier_in_clear(catalog, scope.store, datetime.now(UTC)),
            description="No text of the newest landing and raw objects looks like an e-mail address, a telephone "
            "number, a bank account or an IP address: the gate splits them off, so one that is there came past it.",
            dimension="validity",
        ),
        check(
            keys.IDENTITIES,
            "identities_open_with_their_keys",
            _opening(catalog, identity_keys),
            description="The newest sealed identifier of every tenant opens: the keys of this deployment are those "
            "that sealed it, and a lost file of keys is noticed the same day.",
            dimension="accuracy",
        ),
    ]


def no_identifier_in_clear(catalog: Catalog, store: ObjectStore, now: datetime) -> Facts:
    """No text of what was written in the last days looks like a direct identifier."""
    search = _Search(catalog)
    objects, rows, finds = 0, 0, dict[str, _Finds]()
    for prefix, read in ((LANDING_PREFIX, _landed), (RAW_PREFIX, _built)):
        for info in _newest(store.list(prefix), now):
            objects += 1
            for row in read(store.get(info.key)):
                rows += 1
                for found in search.finds(row):
                    finds.setdefault(info.key, Counter())[found] += 1
    offenders = [
        f"{key}: {count} texts of {column} look like {pattern}"
        for key, found in finds.items()
        for (column, pattern), count in found.most_common()
    ]
    failed = sum(found.total() for found in finds.values())
    summary = f"{failed} texts in {rows:,} rows of {objects:,} objects look like direct identifiers"
    return Facts(not finds, summary, {"objects": objects, "rows": rows}, offenders, rows, failed)


def identities_open_with_their_keys(store: ObjectStore, tenants: Iterable[str], identity_keys: IdentityKeys) -> Facts:
    """The newest sealed value of every tenant that has any can be opened."""
    judged, offenders = 0, []
    for tenant in tenants:
        sealed = _newest_seal(store, tenant)
        if sealed is None:
            continue
        judged += 1
        try:
            unseal(identity_keys.of(tenant), sealed)
        except UnsealedError as error:
            offenders.append(str(error))
    summary = f"the identifiers of {judged - len(offenders)} of {judged} tenants open"
    return Facts(not offenders, summary, {"tenants": judged}, offenders, judged, len(offenders))


def _opening(catalog: Catalog, identity_keys: IdentityKeys) -> Callable[[Scope], Facts]:
    return lambda scope: identities_open_with_their_keys(scope.store, catalog.tenants, identity_keys)


class _Search:
    """The catalogue's patterns over rows, on a way of their own: nothing of the gate's is used here."""

    def __init__(self, catalog: Catalog) -> None:
        declared = catalog.direct_identifiers
        self._patterns = {name: re.compile(catalog.personal_data_patterns[name].pattern) for name in declared.patterns}
        self._versions = {plain_name(name) for name in declared.versions}
        fields = [field for event in catalog.events.values() for field in event.all_fields]
        # Ids of things are not people, whatever they look like; the plan's other words are of its own choosing.
        self._things = {field.name for field in fields if field.type in ("id", "ref") and field.pii == "none"}
        self._clean: set[tuple[str, bool]] = set()

    def finds(self, row: Row) -> Iterator[tuple[str, str]]:
        """Column and pattern of every text that looks like an identifier."""
        for column in _TEXT_COLUMNS:
            for name, text in _texts(column, row[column]):
                if not (column == "properties" and name in self._things):
                    for pattern in self._found(text, is_version=plain_name(name) in self._versions):
                        yield column, pattern

    def _found(self, text: str, *, is_version: bool) -> Sequence[str]:
        if (text, is_version) in self._clean:
            return ()
        found = [
            name
            for name, pattern in self._patterns.items()
            if not (is_version and name == _ADDRESS) and pattern.search(text)
        ]
        if not found:
            self._clean.add((text, is_version))
        return found


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text in a value with the name that it stands under, keys of objects among them."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for below, each in value.items():
            yield name, below
            yield from _texts(below, each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(name, each)


def _newest(objects: Sequence[ObjectInfo], now: datetime) -> list[ObjectInfo]:
    recent = [info for info in objects if info.modified_at >= now - _SEARCHED]
    return sorted(recent, key=lambda info: info.modified_at, reverse=True)[:_SEARCHED_OBJECTS]


def _landed(data: bytes) -> Iterator[Row]:
    return (orjson.loads(line) for line in lines_of(data))


def _built(data: bytes) -> Iterator[Row]:
    for row in pq.read_table(io.BytesIO(data), columns=list(_TEXT_COLUMNS)).to_pylist():
        yield row | {name: orjson.loads(row[name]) for name in JSON_COLUMNS if row[name] is not None}


def _newest_seal(store: ObjectStore, tenant: str) -> str | None:
    objects = sorted(store.list(identities_prefix(tenant)), key=lambda info: info.modified_at, reverse=True)
    rows = (read_object(store, info.key).rows for info in objects)
    return next((table["sealed"][table.num_rows - 1].as_py() for table in rows if table.num_rows), None)
