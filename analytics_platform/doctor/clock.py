"""This machine's clock and time zones: days, deadlines and signatures of requests rest on both.

How far the clock is from others' say `store` and `slack`, which are told the time by a server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError

from analytics_platform.doctor.deployment import CannotLookError, Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, warn

_WATCHED_SECONDS = 0.05
_STEP_SECONDS = 0.02
OLDEST_ZONES = timedelta(days=2 * 365)
"""Rules of summer time change somewhere a few times a year."""

WORTH_SAYING = timedelta(seconds=30)
TOO_FAR = timedelta(minutes=5)
"""S3 refuses requests whose clock is 15 minutes off, and the gate takes a browser's clock to be wrong by ours."""

_MEND = "let NTP set this machine's clock (`timedatectl set-ntp true`, `chronyc makestep`)"


def look(deployment: Deployment) -> Iterator[Finding]:
    """Whether the clock runs, is not in the past, and knows the zones of the deployment."""
    yield _steady()
    yield from _zones(deployment)


def offset(whose: str, their_time: datetime, now: datetime) -> Finding:
    """How far this machine's clock is from a server's.

    Args:
        whose: the server.
        their_time: its time, to the second, as it was told.
        now: ours at about that moment.
    """
    ahead = now - their_time
    found = f"{abs(ahead).total_seconds():,.0f} s {'ahead of' if ahead > timedelta() else 'behind'} {whose}"
    if abs(ahead) > TOO_FAR:
        return fail("clock", found, _MEND)
    if abs(ahead) > WORTH_SAYING:
        return warn("clock", found, _MEND)
    return ok("clock", f"agrees with {whose}")


def _steady() -> Finding:
    wall, steady = time.time(), time.monotonic()
    time.sleep(_WATCHED_SECONDS)
    step = (time.time() - wall) - (time.monotonic() - steady)
    if abs(step) > _STEP_SECONDS:
        return warn("clock", f"it was set by {step:+.3f} s while we looked", _MEND)
    return ok("clock", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, runs steadily")


def _zones(deployment: Deployment) -> Iterator[Finding]:
    source, release = zone_release()
    yield judged_release(source, release, deployment.now)
    try:
        tenants = {tenant.time_zone for tenant in deployment.catalog.tenants.values()}
        names = {deployment.settings.reporting_time_zone, *tenants}
    except CannotLookError:
        return
    for name in sorted(names):
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            yield fail("time zones", f"{name} is not in the time zone data", "install the package tzdata")


def judged_release(source: str, release: str, now: datetime) -> Finding:
    """Whether time zone data of a release such as 2026a is of use now."""
    year = int(release[:4]) if release[:4].isdigit() else 0
    if not year:
        return warn("time zones", f"{source} does not say of which release it is", "install the package tzdata")
    if now.year < year:
        return fail("clock", f"it says {now:%Y-%m-%d}, before the time zone data {release} was made", _MEND)
    if now - datetime(year, 12, 31, tzinfo=UTC) > OLDEST_ZONES:
        return warn("time zones", f"{source} is of {release}", "update the system's tzdata, or the package tzdata")
    return ok("time zones", f"{release} ({source})")


def zone_release() -> tuple[str, str]:
    """Where zones come from, as Python looks for them, and their release."""
    for folder in map(Path, TZPATH):
        if (folder / "tzdata.zi").is_file():
            with (folder / "tzdata.zi").open(encoding="utf-8") as file:
                return str(folder), file.readline().rpartition(" ")[2].strip()
        if (folder / "Europe").is_dir():
            return str(folder), ""
    try:
        return "package tzdata", metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return "nothing", ""
