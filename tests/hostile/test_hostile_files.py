"""Files of an operator that somebody has made hostile or huge: a catalogue, tenants, settings. Told, and in time."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
import yaml
from hostile_strings import HOSTILE

import analytics_platform.catalog as catalog_room
from analytics_platform.catalog import Catalog, CatalogError, load_catalog
from analytics_platform.catalog.yaml_file import read_yaml
from analytics_platform.settings import Settings, SettingsError

SECONDS = 10.0
"""Of CPU: a hundred times what the shipped catalogue takes."""


def laughs(first: str, depth: int = 60) -> str:
    """Aliases of aliases: ten times as many values with each line, should anybody unfold them."""
    lines = [f"{first}: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"k{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join(lines) + "\n"


BOMBS = {
    "aliases": laughs("a"),
    "aliases where text is": laughs("description"),
    "merged": "a: &a {<<: [*a, *a]}\n".replace("[*a, *a]", "{b: 1}") + "c: {<<: *a}\n",
    "itself": "a: &a\n  b: *a\n",
    "a list of itself": "&a\n- *a\n",
    "deep lists": "[" * 100_000,
    "deep mappings": "{a: " * 100_000,
    "deep blocks": "- " * 100_000,
    "deep keys": "? " * 100_000,
    "closed deep lists": "[" * 50_000 + "]" * 50_000,
    "a long number": "a: " + "9" * 1_000_000,
    "a long word": "a: " + "x" * 5_000_000,
    "many keys": "".join(f"k{n}: 1\n" for n in range(10_000)),
    "a tag": "a: !!python/object/apply:os.system [id]",
    "another encoding": "a: é".encode("utf-16").decode("latin-1"),
    **{f"text {name}": text for name, text in HOSTILE.items()},
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_in_place_of_a_file_is_told_with_the_file_in_time(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(BOMBS[bomb], encoding="utf-8")
    started = time.process_time()
    with pytest.raises(CatalogError) as told:
        load_catalog(path)
    assert time.process_time() - started < SECONDS
    assert all(problem.file.endswith("tenants.yaml") and problem.mend for problem in told.value.problems)


@pytest.mark.parametrize(
    "file", ["plan/support.yaml", "kpis.yaml", "datasets.yaml", "owners.yaml", "vocabularies.yaml"]
)
def test_aliases_of_aliases_anywhere_in_the_catalogue_cost_nothing(tmp_path: Path, file: str) -> None:
    root = copied(tmp_path)
    (root / file).write_text((root / file).read_text() + laughs("zzz"))
    started = time.process_time()
    with pytest.raises(CatalogError) as told:
        load_catalog(root=root)
    assert time.process_time() - started < SECONDS
    assert file in {problem.file for problem in told.value.problems}
    assert len(str(told.value)) < 100_000


def test_what_nests_as_far_as_people_write_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text("- [1, {a: 2}]\n" * 3_000 + "- " + "[" * 90 + "]" * 90 + "\n")
    assert len(read_yaml(path, "long.yaml")) == 3_001


def test_a_huge_catalogue_loads_in_time(tmp_path: Path, catalog: Catalog) -> None:
    """500 events more, and 2,000 tenants."""
    root = copied(tmp_path)
    support = yaml.safe_load((root / "plan" / "support.yaml").read_text())
    support["events"] |= {f"ticket.extra_{n}": dict(support["events"]["ticket.reopened"]) for n in range(500)}
    (root / "plan" / "support.yaml").write_text(yaml.dump(support, sort_keys=False))
    one = {
        "country": "NL",
        "time_zone": "Europe/Amsterdam",
        "currency": "EUR",
        "financial_year_end": "12-31",
        "business_hours": {1: {"opens": "09:00", "closes": "17:30"}},
    }
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text(yaml.dump({f"t-{n}": {"name": f"Tenant {n}", **one} for n in range(2_000)}))
    started = time.process_time()
    huge = load_catalog(tenants, root=root)
    assert time.process_time() - started < SECONDS
    assert len(huge.tenants) == 2_000 + len(catalog.tenants)
    assert len(huge.events) == 500 + len(catalog.events)


@pytest.mark.parametrize(
    "content",
    [
        "environment: &x [a, b]\n" + "".join(f"k{n}: *x\n" for n in range(3)),
        laughs("environment", depth=12),
        "environment: " + "[" * 1_000,
        "slack_token: canary-secret\nslack_token: 1: 2",
        "slack_api_url: ftp://u:canary-secret@slack.example",
        "dagster_url: [http://u:canary-secret@x]",
        "rbac_source: http://u:canary-secret@[::1/x",
        "rbac_source: http://u:canary-secret@h\u2100st/x",
        "rbac_source: postgresql://u:canary-secret@host:port/x",
        "collector_webhooks: [{secret: canary-secret}]",
        "slack_tokn: canary-secret",
        "- slack_token: canary-secret",
        "canary-secret",
    ],
)
def test_settings_that_cannot_be_used_are_told_without_what_stands_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "settings.yaml").write_text(content)
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    started = time.process_time()
    with pytest.raises(SettingsError) as told:
        Settings.from_environment()
    assert time.process_time() - started < SECONDS
    assert "canary-secret" not in str(told.value)
    assert "settings.yaml" in str(told.value)
    assert len(str(told.value)) < 50_000


def test_a_wrong_setting_still_shows_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    monkeypatch.setenv("ANALYTICS_SLACK_API_URL", "ftp://slack.example")
    with pytest.raises(SettingsError, match=r"slack_api_url: .* \(got 'ftp://slack\.example'\)"):
        Settings.from_environment()


def copied(folder: Path) -> Path:
    root = folder / "catalog"
    shutil.copytree(Path(catalog_room.__file__).parent, root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return root
