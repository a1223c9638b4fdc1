"""Lines of landing objects that may not come in: those of the erased, put back with an old object or an old file.

The gate refuses what it is sent; this looks at what is in the lake already, whoever put it there, before raw takes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import orjson

from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.severing import ids_of, severed
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.lake.dead_letters import compressed, lines_of
from analytics_platform.lake.schema import landing_line


def screen(
    keys: IdentityKeys,
    suppressions: Suppressions,
    severs: Callable[[str], bool],
    kept: Callable[[str, str, date], bool] = lambda stream, tenant, day: False,
) -> Callable[[str, bytes], tuple[bytes, Mapping[str, int]] | None]:
    """A screen for `lake.raw.build_partitions`.

    Args:
        keys: of the tenants.
        suppressions: who was erased.
        severs: whether a stream's messages are kept without their person, rather than not at all.
        kept: whether a legal hold keeps the messages of a stream, tenant and day as they are.
    """

    def screened(tenant: str, data: bytes) -> tuple[bytes, Mapping[str, int]] | None:
        if tenant not in suppressions.by_tenant:
            return None
        lines, gone, is_changed = [], Counter[str](), False
        for line in lines_of(data):
            row = orjson.loads(line)
            found = suppressions.stand_ins(keys, tenant, ids_of(row), _moment(row))
            if not found or kept(row["stream"], tenant, date.fromisoformat(row["day"])):
                lines.append(line + b"\n")
                continue
            is_changed = True
            if severs(row["stream"]):
                lines.append(landing_line(severed(row, found)))
            else:
                gone[row["stream"]] += 1
        return (compressed(b"".join(lines)), gone) if is_changed else None

    return screened


def _moment(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(row["event_at"]).astimezone(UTC)
