"""Write keys: when a key is valid, how the register is edited, and how soon a collector knows."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_messages import OTHER_TENANT, TENANT

from analytics_platform.catalog import Catalog, CatalogError, hash_write_key, load_catalog
from analytics_platform.intake.key_registry import (
    CLOCK_TOLERANCE,
    KeyNameTakenError,
    KeyRegistry,
    NoSuchKeyError,
    RegisteredKey,
    UnknownKeyOwnerError,
    registered_keys,
)
from analytics_platform.intake.outcomes import WriteKeyContext
from analytics_platform.intake.write_keys import WriteKeys

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "write_keys.yaml"


@pytest.fixture
def registry(catalog: Catalog, file: Path) -> KeyRegistry:
    return KeyRegistry(catalog, file)


def created(registry: KeyRegistry, name: str = "web", *, tenant: str = TENANT, now: datetime = NOW) -> str:
    return registry.create(tenant, name, "browser", "marketing", now=now)[1]


@given(
    created_at=st.none() | MOMENTS,
    expires_at=st.none() | MOMENTS,
    revoked_at=st.none() | MOMENTS,
    at=MOMENTS,
    later=st.timedeltas(timedelta(), timedelta(days=90)),
)
def test_a_key_is_valid_from_its_making_to_its_end_and_never_once_revoked(
    created_at: datetime | None,
    expires_at: datetime | None,
    revoked_at: datetime | None,
    at: datetime,
    later: timedelta,
) -> None:
    times = {"created_at": created_at, "expires_at": expires_at, "revoked_at": revoked_at}
    key = RegisteredKey(
        tenant=TENANT,
        name="web",
        sha256="0" * 64,
        kind="browser",
        site="product",
        **{name: None if moment is None else moment.isoformat() for name, moment in times.items()},
    )
    is_made = created_at is None or at >= created_at - CLOCK_TOLERANCE
    is_over = expires_at is not None and at >= expires_at
    assert key.is_valid(at) == (revoked_at is None and is_made and not is_over)
    assert not (key.state(at) in ("expired", "revoked") and key.is_valid(at + later))


def test_the_register_holds_the_hash_and_never_the_key(registry: KeyRegistry, file: Path) -> None:
    key, plain = registry.create(TENANT, "web", "browser", "marketing", now=NOW, events_per_second=50)
    text = file.read_text()
    assert plain not in text
    assert hash_write_key(plain) in text
    assert registered_keys(file) == [key]
    assert WriteKeys(load_catalog(), file).context(plain, NOW) == WriteKeyContext(
        TENANT, "web", "browser", "marketing", 50
    )


def test_both_keys_work_until_the_overlap_ends_and_say_the_same_source(
    catalog: Catalog, registry: KeyRegistry, file: Path
) -> None:
    old = created(registry)
    _, new, (former,) = registry.rotate(TENANT, "web", overlap=WEEK, now=NOW + WEEK)
    assert former.expires_at == NOW + 2 * WEEK
    keys = WriteKeys(catalog, file)
    last_moment = NOW + 2 * WEEK - timedelta(microseconds=1)
    assert keys.context(old, last_moment) == keys.context(new, last_moment) is not None
    assert keys.context(old, NOW + 2 * WEEK) is None
    assert keys.context(new, NOW + 2 * WEEK) is not None


def test_a_second_rotation_does_not_prolong_the_first_key(registry: KeyRegistry) -> None:
    created(registry)
    registry.rotate(TENANT, "web", overlap=WEEK, now=NOW)
    _, _, former = registry.rotate(TENANT, "web", overlap=4 * WEEK, now=NOW + timedelta(days=1))
    assert [key.expires_at for key in former] == [NOW + WEEK, NOW + timedelta(days=1) + 4 * WEEK]


def test_a_key_of_the_catalogue_can_be_rotated_and_revoked(catalog: Catalog, registry: KeyRegistry, file: Path) -> None:
    plain = f"demo-{TENANT}-server"
    _, new, _ = registry.rotate(TENANT, "server", overlap=WEEK, now=NOW)
    keys = WriteKeys(catalog, file)
    assert keys.context(plain, NOW) == keys.context(new, NOW) is not None
    assert keys.context(plain, NOW + WEEK) is None
    registry.revoke(TENANT, "server", now=NOW, fingerprint=hash_write_key(plain)[:8])
    assert WriteKeys(catalog, file).context(plain, NOW) is None
    assert WriteKeys(catalog, file).context(new, NOW) is not None


def test_a_running_collector_sees_a_revocation_within_a_second(
    catalog: Catalog, registry: KeyRegistry, file: Path
) -> None:
    plain, clock = created(registry), Clock()
    keys = WriteKeys(catalog, file, clock=clock)
    registry.revoke(TENANT, "web", now=NOW)
    assert keys.context(plain, NOW) is not None
    clock.seconds += 1
    assert keys.context(plain, NOW) is None


def test_a_new_key_is_known_at_once_since_its_first_events_would_be_lost(
    catalog: Catalog, registry: KeyRegistry, file: Path
) -> None:
    keys = WriteKeys(catalog, file, clock=Clock())
    assert keys.context(created(registry), NOW) is not None
    assert keys.context("wk_unknown", NOW) is None


@pytest.mark.parametrize("damage", ["- {tenant: [", "gone", "{}", "- {tenant: nobody}"])
def test_a_register_that_breaks_while_serving_changes_nothing_and_is_told(
    catalog: Catalog, registry: KeyRegistry, file: Path, damage: str
) -> None:
    plain, clock = created(registry), Clock()
    keys = WriteKeys(catalog, file, clock=clock)
    good = file.read_text()
    file.unlink() if damage == "gone" else file.write_text(damage)
    clock.seconds += 1
    assert keys.context(plain, NOW) is not None
    assert str(file) in (keys.problem or "")
    file.write_text(good)
    clock.seconds += 1
    assert keys.context(plain, NOW) is not None
    assert keys.problem is None


def test_a_register_that_is_wrong_at_the_start_is_refused_with_each_entry(catalog: Catalog, file: Path) -> None:
    file.parent.mkdir()
    good = f"sha256: {'a' * 64}, kind: server, site: product"
    file.write_text(f"- {{tenant: {TENANT}, name: web, sha256: wk_secret, kind: server}}\n- {{tenant: x}}\n")
    with pytest.raises(CatalogError) as told:
        WriteKeys(catalog, file)
    assert "[0].sha256" in str(told.value)
    assert "[1].name" in str(told.value)
    assert "wk_secret" not in str(told.value)
    for entries in (
        f"- {{tenant: nobody, name: web, {good}}}",
        f"- {{tenant: {TENANT}, name: web, {good}}}\n- {{tenant: {OTHER_TENANT}, name: web, {good}}}",
        f"- {{tenant: {TENANT}, name: web, sha256: {hash_write_key(f'demo-{OTHER_TENANT}-server')}, "
        "kind: server, site: product}",
        f"- {{tenant: {TENANT}, name: web, {good}, expires_at: 2026-01-31T09:30:00}}",
    ):
        file.write_text(entries)
        with pytest.raises(CatalogError):
            WriteKeys(catalog, file)


def test_editing_keeps_what_people_wrote(registry: KeyRegistry, file: Path) -> None:
    created(registry)
    file.write_text("# ours\n" + file.read_text().replace("name: web", "name: web  # the shop"))
    created(registry, "app")
    registry.revoke(TENANT, "web", now=NOW)
    text = file.read_text()
    assert text.startswith("# ours\n# Write keys of this deployment")
    assert "name: web  # the shop" in text
    assert [key.name for key in registered_keys(file)] == ["web", "app"]


def test_what_cannot_be_done_says_why_and_changes_nothing(registry: KeyRegistry, file: Path) -> None:
    created(registry)
    before = file.read_text()
    with pytest.raises(KeyNameTakenError, match=f"analytics keys rotate {TENANT} web"):
        created(registry)
    with pytest.raises(KeyNameTakenError):
        created(registry, "server")
    with pytest.raises(UnknownKeyOwnerError, match=TENANT):
        created(registry, tenant="nobody")
    with pytest.raises(NoSuchKeyError, match=r"valid keys of .*web"):
        registry.rotate(TENANT, "app", overlap=WEEK, now=NOW)
    with pytest.raises(NoSuchKeyError):
        registry.revoke(TENANT, "web", now=NOW, fingerprint="00000000")
    with pytest.raises(CatalogError, match="snake_case"):
        created(registry, "Web Site")
    assert file.read_text() == before
    registry.revoke(TENANT, "web", now=NOW)
    with pytest.raises(NoSuchKeyError):
        registry.revoke(TENANT, "web", now=NOW)
    assert created(registry)


def _create_many(file: Path, prefix: str) -> None:
    registry = KeyRegistry(load_catalog(), file)
    for number in range(8):
        created(registry, f"{prefix}_{number}")


def test_two_processes_that_edit_at_once_lose_nothing_of_each_other(file: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_create_many, args=(file, prefix)) for prefix in ("left", "right")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    names = {key.name for key in registered_keys(file)}
    assert names == {f"{prefix}_{number}" for prefix in ("left", "right") for number in range(8)}
