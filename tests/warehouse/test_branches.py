"""Names of branch environments, and that dropping one touches no schema that is not its own."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.cli import branch as command
from analytics_platform.cli import main
from analytics_platform.settings import PROJECT_ROOT, Settings
from analytics_platform.warehouse import DuckDBWarehouse, QueryError
from analytics_platform.warehouse.branches import (
    BranchSchemas,
    NotABranchError,
    Where,
    branch_prefix,
    branch_schemas,
    drop_schemas,
    environment_of,
    schemas_with,
)
from analytics_platform.warehouse.port import SCHEMAS

WHERE = Where("analytics")
NAMED = st.text(min_size=1).filter(lambda name: bool(name.strip()))
SETTING = re.compile(Settings.model_fields["warehouse_schema_prefix"].metadata[0].pattern)
MINE, OTHERS = branch_prefix("feature/mine"), branch_prefix("feature/other")
THERE = [
    *SCHEMAS,
    *schemas_with(MINE),
    *schemas_with(OTHERS),
    f"{MINE}marts_old",
    f"{MINE}{OTHERS}raw",
    f"{OTHERS}{MINE}raw",
    f"x{MINE}raw",
    "finance_raw",
]


class Schemas(DuckDBWarehouse):
    """A database whose schemas are DuckDB's, asked as Snowflake is; DuckDB does not know when one was made."""

    dialect = "snowflake"

    def __init__(self, schemas: Iterable[str]) -> None:
        super().__init__(Path("nowhere"))
        self._connection = duckdb.connect()
        self._connection.execute("attach ':memory:' as analytics; use analytics")
        for number, schema in enumerate(schemas):
            self._connection.execute(f"create schema {schema.upper()}; create table {schema}.t as select {number} as n")

    @property
    def schemas(self) -> set[str]:
        asked = "select schema_name from duckdb_schemas() where database_name = 'analytics' and not internal"
        return {name.lower() for (name,) in self._connection.execute(asked).fetchall()}

    def native(self, sql: str) -> pa.Table:
        known = "(select schema_name, timestamp '2026-11-01' as created from duckdb_schemas() where not internal)"
        try:
            answer = self._connection.sql(sql.replace("analytics.information_schema.schemata", known))
        except duckdb.Error as error:
            raise QueryError(str(error)) from error
        return answer.to_arrow_table() if answer is not None else pa.table({})

    def reading(self) -> AbstractContextManager[None]:
        return nullcontext()


@given(NAMED)
def test_a_prefix_is_what_the_setting_allows_and_the_same_each_time(branch: str) -> None:
    prefix = branch_prefix(branch)
    assert SETTING.match(prefix)
    assert prefix
    assert prefix == branch_prefix(branch)


@given(st.lists(NAMED, min_size=2, max_size=8, unique=True))
def test_no_two_branches_share_a_schema_and_none_has_one_without_a_prefix(branches: list[str]) -> None:
    of_each = [set(schemas_with(branch_prefix(branch))) for branch in branches]
    assert len(set().union(*of_each)) == len(SCHEMAS) * len(branches)
    assert not set().union(*of_each) & set(SCHEMAS)


def test_names_that_differ_only_in_what_no_schema_can_have_are_two_environments() -> None:
    alike = ["feature/a-b", "feature/a_b", "Feature/a-b", "feature/a/b", "feature-a-b ", f"feature/{'a' * 60}x"]
    assert len({branch_prefix(branch) for branch in alike}) == len(alike)
    assert branch_prefix("feature/a-b").startswith("br_feature_a_b_")
    assert branch_prefix("日本").startswith("br_x_")


@pytest.mark.parametrize("wrong", ["", " ", "\n"])
def test_a_branch_without_a_name_is_refused(wrong: str) -> None:
    with pytest.raises(NotABranchError, match="name"):
        branch_prefix(wrong)


@pytest.mark.parametrize("wrong", ["", "_", "pr_7", "PR_7_", "a; drop schema kpi; --_", "a" * 32 + "_"])
def test_what_is_no_prefix_never_names_schemas(wrong: str) -> None:
    with pytest.raises(NotABranchError, match="no prefix"):
        schemas_with(wrong)


def test_dropping_a_branch_leaves_every_schema_that_is_not_exactly_its_own() -> None:
    warehouse = Schemas(THERE)
    environment = environment_of(warehouse, WHERE, MINE)
    assert environment is not None
    statements = drop_schemas(warehouse, WHERE, environment)
    assert set(THERE) - warehouse.schemas == set(schemas_with(MINE))
    assert all(f".{MINE}" in statement for statement in statements)
    assert environment_of(warehouse, WHERE, MINE) is None


@pytest.mark.parametrize("strange", ["kpi", f"{OTHERS}raw", f"{MINE}marts_old"])
def test_a_schema_of_somebody_else_is_refused_before_anything_is_dropped(strange: str) -> None:
    warehouse = Schemas(THERE)
    environment = environment_of(warehouse, WHERE, MINE)
    assert environment is not None
    spoilt = BranchSchemas(MINE, (*environment.schemas, strange), environment.made_at)
    with pytest.raises(NotABranchError, match="nothing was dropped"):
        drop_schemas(warehouse, WHERE, spoilt)
    assert warehouse.schemas >= set(THERE)


def test_branches_are_listed_with_their_age_and_nobody_elses_schemas_among_them() -> None:
    found = branch_schemas(Schemas(THERE), WHERE)
    assert {each.prefix: set(each.schemas) for each in found} == {
        prefix: set(schemas_with(prefix)) for prefix in (MINE, OTHERS)
    }
    assert {f"{each.made_at:%Y-%m-%d %z}" for each in found} == {"2026-11-01 +0000"}


def called(monkeypatch: pytest.MonkeyPatch, warehouse: Schemas, *arguments: str, answer: str = "") -> tuple[int, str]:
    monkeypatch.setattr(command, "_warehouse", lambda _: (warehouse, WHERE))
    result = CliRunner().invoke(main, ["branch", *arguments], input=answer)
    return result.exit_code, result.output


def test_the_command_asks_before_it_drops_and_drops_one_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Schemas(THERE)
    code, said = called(monkeypatch, warehouse, "drop", "feature/mine", answer="n\n")
    assert (code, set(THERE) - warehouse.schemas) == (1, set())
    assert f"{MINE}kpi" in said
    code, said = called(monkeypatch, warehouse, "drop", "feature/mine", "--yes", "--json")
    assert (code, json.loads(said)["prefix"]) == (0, MINE)
    assert set(THERE) - warehouse.schemas == set(schemas_with(MINE))
    assert called(monkeypatch, warehouse, "drop", "feature/mine", "--yes")[0] == 1


def test_the_command_never_drops_without_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Schemas(THERE)
    code, said = called(monkeypatch, warehouse, "drop", "--yes")
    assert (code, warehouse.schemas >= set(THERE)) == (1, True)
    assert "name the branch" in said


def test_the_command_lists_what_is_old_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = called(monkeypatch, Schemas(THERE), "list", "--json")
    assert (code, len(json.loads(said)["branches"])) == (0, 2)
    assert "No branch environments" in called(monkeypatch, Schemas(THERE), "list", "--older-than", "9999d")[1]


def test_duckdbs_branch_is_another_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    for arguments in (["list"], ["drop", "x", "--yes"]):
        result = CliRunner().invoke(main, ["branch", *arguments])
        assert (result.exit_code, "ANALYTICS_HOME" in result.output) == (1, True)
    assert not hasattr(DuckDBWarehouse(tmp_path / "x.duckdb"), "native")


def test_the_command_takes_the_branch_that_git_is_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q", "-b", "feature/mine"], check=True)
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    told = json.loads(CliRunner().invoke(main, ["branch", "name", "--json"]).output)
    assert (told["branch"], told["prefix"]) == ("feature/mine", MINE)
    subprocess.run(["git", "checkout", "-q", "--detach"], check=True)
    assert "name the branch" in CliRunner().invoke(main, ["branch", "name"]).output


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        ("s3://acme/lake", "s3://acme/branches/br_x"),
        ("s3://acme/a/lake/", "s3://acme/a/branches/br_x"),
        ("gs://acme/branches/br_y", "gs://acme/branches/br_x"),
        ("s3://acme", None),
        (None, None),
    ],
)
def test_a_branchs_lake_lies_beside_the_other_and_never_below_it(shared: str | None, own: str | None) -> None:
    chosen = command.branch_settings(Settings(lake_url=shared), "br_x_")
    assert chosen.get("ANALYTICS_LAKE_URL") == own


def branch_of(**chosen: object) -> Settings:
    """Settings of a branch, not validated: the rule alone is tried."""
    usual = {"warehouse_schema_prefix": MINE, "environment": "ci", "lake_url": None, "access_grants": "by_hand"}
    none = dict.fromkeys(("slack_token", "segment_token", "power_bi_client_secret"))
    return Settings.model_construct(**{**none, **usual, **chosen})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"environment": "production"}, "environment"),
        ({"environment": "staging"}, "environment"),
        ({"lake_url": "s3://acme/lake"}, "lake_url"),
        ({"lake_url": f"s3://acme/{MINE.rstrip('_')}x"}, "lake_url"),
        ({"slack_token": "x"}, "slack_token"),
        ({"power_bi_client_secret": "x"}, "power_bi_client_secret"),
        ({"access_grants": "apply"}, "access_grants"),
    ],
)
def test_a_branch_has_nothing_that_reaches_people_or_anothers_lake(chosen: dict[str, str], told: str) -> None:
    assert told in str(branch_of(**chosen)._not_a_branchs())


def test_a_branch_with_its_own_lake_is_one() -> None:
    assert branch_of()._not_a_branchs() is None
    assert branch_of(lake_url=f"s3://acme/branches/{MINE.rstrip('_')}")._not_a_branchs() is None


def test_the_guide_shows_what_the_command_says() -> None:
    guide = (PROJECT_ROOT / "docs" / "environments.md").read_text()
    shown = command.branch_settings(
        Settings(lake_url="s3://example-analytics-staging/lake"), branch_prefix("feature/new-kpi")
    )
    assert all(f"{name}={value}" in guide for name, value in shown.items())
