"""SQL of the platform in other dialects."""

import pytest
import sqlglot

from analytics_platform.warehouse import QueryError, row_text
from analytics_platform.warehouse.bigquery_sql import bigquery_query
from analytics_platform.warehouse.translation import translated


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery"])
def test_values_keep_their_places(dialect: str) -> None:
    said = translated("select count(*) as rows from kpi.kpi_mrr where day between ? and ? and tenant_id = ?", dialect)

    assert said.count("?") == 3
    assert [table.sql() for table in sqlglot.parse_one(said, read=dialect).find_all(sqlglot.exp.Table)] == [
        "kpi.kpi_mrr"
    ]


def test_a_pattern_is_found_within_a_text_and_need_not_be_all_of_it() -> None:
    said = translated("select regexp_matches(a, ?) as found from raw.x where not regexp_matches(b, ?)", "snowflake")
    assert "REGEXP_LIKE(a, '.*(' || ? || ').*', 's')" in said
    assert "REGEXP_LIKE(b, '.*(' || ? || ').*', 's')" in said
    assert "REGEXP_CONTAINS" in translated("select regexp_matches(a, ?) as found from raw.x", "bigquery")


def test_a_row_has_a_mark_in_every_product() -> None:
    sql = f"select cast(bit_xor(hash({row_text(['b', 'a'])})) as varchar) as mark from raw.x"
    assert "BITXORAGG(HASH(COALESCE(CAST(a AS VARCHAR), '') || CHR(31) ||" in translated(sql, "snowflake")
    assert "BIT_XOR(FARM_FINGERPRINT(COALESCE(CAST(a AS STRING), '') || CHR(31) ||" in bigquery_query(sql, "", "eu")


def test_a_branch_environment_has_its_own_schemas() -> None:
    said = translated("select * from kpi.kpi_mrr join raw.tenants using (tenant_id)", "snowflake", "pr_7_")

    assert "pr_7_kpi.kpi_mrr" in said
    assert "pr_7_raw.tenants" in said


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery"])
@pytest.mark.parametrize(
    "sql",
    [
        "select * from KPI.kpi_mrr",
        'select * from "kpi".kpi_mrr',
        "select kpi.kpi_mrr.day from kpi.kpi_mrr",
        "update kpi.kpi_mrr set x = incoming.y from incoming where cast(kpi.kpi_mrr.x as varchar) = incoming.z",
        "delete from kpi.kpi_mrr where exists (select 1 from marts.dim_days d where d.day = kpi.kpi_mrr.day)",
        "with x as (select * from kpi.kpi_mrr) select * from x union all select * from raw.tenants",
        "select * from analytics.kpi.kpi_mrr",
    ],
)
def test_no_statement_of_a_branch_reaches_a_schema_without_its_prefix(sql: str, dialect: str) -> None:
    said = translated(sql, dialect, "pr_7_")
    found = sqlglot.parse_one(said, read=dialect).find_all(sqlglot.exp.Table, sqlglot.exp.Column)
    schemas = {named.db.lower() for named in found if named.db}
    assert schemas
    assert all(schema.startswith("pr_7_") for schema in schemas)


def test_tables_that_are_not_the_platforms_keep_their_names() -> None:
    said = translated("with kpi as (select * from information_schema.tables) select * from kpi", "bigquery", "pr_7_")

    assert "pr_7_" not in said


@pytest.mark.parametrize("sql", ["select from where", "select 1; select 2", ""])
def test_what_is_not_one_statement_is_refused(sql: str) -> None:
    with pytest.raises(QueryError):
        translated(sql, "snowflake")


def test_whole_numbers_divide_as_floats_also_where_snowflake_would_round() -> None:
    said = translated("select won / count(*) as share from kpi.t group by won", "snowflake")

    assert "CAST(won AS DOUBLE) / " in said


def test_snowflakes_catalogue_has_the_names_that_the_platform_gave() -> None:
    said = translated(
        "select t.table_name from information_schema.tables t where t.table_schema = ?", "snowflake", "pr_"
    )

    listing = sqlglot.parse_one(said, read="snowflake").find(sqlglot.exp.Subquery)
    assert listing is not None
    assert listing.alias == "t"
    assert "'PR_KPI'" in listing.sql(dialect="snowflake")
    assert "LOWER(c.table_name) AS table_name" in listing.sql(dialect="snowflake")


@pytest.mark.parametrize(
    "sql", ["delete from kpi.t", "create table kpi.t (a int)", "update kpi.t set a = 1", "set a = 1"]
)
def test_what_would_write_is_refused_where_only_queries_are_answered(sql: str) -> None:
    with pytest.raises(QueryError, match="only queries"):
        translated(sql, "snowflake", reads=True)


def test_a_query_is_answered_where_only_queries_are() -> None:
    assert translated("with a as (select 1 as b) select b from a union all select 2", "snowflake", reads=True)


def test_members_of_a_json_object_have_their_keys_types_and_values_in_bigquery() -> None:
    sql = "select m.key, m.type, m.value ->> '$' as said from raw.x as t, json_each(t.properties) as m"
    said = bigquery_query(sql, "", "eu")
    assert "CROSS JOIN UNNEST(JSON_KEYS(PARSE_JSON(t.properties, wide_number_mode => 'round'), 1)) AS m" in said
    assert "WHEN 'string' THEN 'VARCHAR'" in said
    assert "m.value" not in said


def test_a_date_in_a_zone_is_asked_for_as_such_in_bigquery() -> None:
    assert bigquery_query("select cast(a at time zone z as date) as d from raw.x", "", "eu") == (
        "SELECT DATE(a, z) AS d FROM raw.x"
    )


def test_columns_are_told_with_duckdbs_names_of_types() -> None:
    said = bigquery_query("select column_name, data_type from information_schema.columns", "", "eu")
    assert "WHEN 'INT64' THEN 'NUMBER'" in said
    assert "data_type" not in bigquery_query("select table_name from information_schema.tables", "", "eu")


def test_a_word_that_snowflake_reserves_may_name_a_column() -> None:
    said = translated("select count(*) as rows, t.values from kpi.t as t group by all order by all", "snowflake")
    assert said == 'SELECT COUNT(*) AS "ROWS", t."VALUES" FROM kpi.t AS t GROUP BY ALL ORDER BY ALL'


def test_what_may_be_no_moment_is_tried_and_does_not_fail() -> None:
    said = translated("select try_cast(said as timestamptz) as at from raw.x", "snowflake")
    assert "TRY_CAST(CAST(said AS VARCHAR) AS TIMESTAMPTZ)" in said


def test_members_of_a_json_object_are_flattened_in_snowflake() -> None:
    said = translated(
        "select member.key, member.type as kind, member.value ->> '$' as said "
        "from (select properties from raw.x) as told, json_each(told.properties) as member",
        "snowflake",
        "pr_",
    )
    assert "pr_raw.x" in said
    assert "LATERAL FLATTEN(input => PARSE_JSON(told.properties)) AS member" in said
    assert "CAST(member.value AS VARCHAR) AS said" in said
    assert "CASE TYPEOF(member.value) WHEN 'INTEGER' THEN 'BIGINT'" in said


def test_a_pair_is_looked_for_among_pairs() -> None:
    said = translated("select * from raw.x where (a, b) in (select (c, d) from raw.y)", "snowflake")
    assert "(a, b) IN (SELECT c, d FROM raw.y)" in said
