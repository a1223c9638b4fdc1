"""dbt's models, seeds and tests in the graph: staging, marts and KPI tables by day, reference tables as a whole.

Keys follow the folders below `models/` (`staging/billing/stg_billing__invoice_issued`, `kpi/revenue/kpi_mrr`), so a
model's place in the project is its place in the lineage. How dbt is run is `dbt_build`'s business.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from pathlib import PurePosixPath
from typing import Any, cast, get_args

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from analytics_platform.catalog import Dimension
from analytics_platform.defs import keys
from analytics_platform.defs.dbt_build import DbtBuild, NodeResult
from analytics_platform.defs.evaluations import CheckResult
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.warehouse import Warehouse

Manifest = Mapping[str, Any]

UNIQUE_ID = "dagster_dbt/unique_id"
"""Where dagster-dbt notes a node's id in the metadata of an asset or a check."""

_NOT_BY_DAY = "resource_type:seed"
_NOT_DATA = "resource_type:unit_test"
"""Unit tests judge SQL, not data: they run in the test suite and not every night."""


TEST_DIMENSIONS: Mapping[str, Dimension] = {
    "not_null": "completeness",
    "no_nulls": "completeness",
    "sound_events": "completeness",
    "leaves_no_invoice_fact_out": "completeness",
    "unique": "uniqueness",
    "keyed_by": "uniqueness",
    "accepted_values": "validity",
    "not_negative": "validity",
    "holds": "validity",
}
"""What a test says of data, by its kind; the others compare figures or tables with one another: consistency."""


class Translator(DagsterDbtTranslator):
    """Keys, groups and descriptions of dbt nodes by this project's conventions."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """A model's folders and name; a seed below `reference`; a source as its meta says."""
        kind = dbt_resource_props["resource_type"]
        if kind == "seed":
            return dg.AssetKey(["reference", dbt_resource_props["name"]])
        if kind == "model":
            folders = PurePosixPath(dbt_resource_props["original_file_path"]).parent.parts[1:]
            return dg.AssetKey([*folders, dbt_resource_props["name"]])
        return super().get_asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """`<layer>_<domain>`."""
        if dbt_resource_props["resource_type"] == "source":
            return None
        return keys.group(self.get_asset_key(dbt_resource_props))

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """What the model's documentation says, without its SQL: that is one click away in dbt's docs."""
        return str(dbt_resource_props.get("description") or "")

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str] | None:
        """None here: `policies` gives every asset of the graph its owner."""
        del dbt_resource_props
        return None


def dbt_model_assets(manifest: Manifest, partitions: Partitions) -> dg.AssetsDefinition:
    """Staging, marts and KPI tables, by day; their dbt tests are asset checks."""

    @dbt_assets(
        manifest=manifest,
        name="dbt_models",
        exclude=f"{_NOT_BY_DAY} {_NOT_DATA}",
        dagster_dbt_translator=Translator(),
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
    )
    def dbt_models(
        context: dg.AssetExecutionContext, dbt: dg.ResourceParam[DbtBuild], warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        first, last = span_of(context)
        yield from _build(context, dbt, warehouse, manifest, first, last)

    return dbt_models


def dbt_seed_assets(manifest: Manifest) -> dg.AssetsDefinition:
    """Reference tables that are kept beside the models, such as exchange rates."""

    @dbt_assets(
        manifest=manifest,
        name="dbt_seeds",
        select=_NOT_BY_DAY,
        dagster_dbt_translator=Translator(),
        pool=WAREHOUSE_POOL,
    )
    def dbt_seeds(
        context: dg.AssetExecutionContext, dbt: dg.ResourceParam[DbtBuild], warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        yield from _build(context, dbt, warehouse, manifest, date.min, date.min)

    return dbt_seeds


def key_of_table(manifest: Manifest, table: str) -> dg.AssetKey:
    """The asset that builds a warehouse table, given as `schema.name`.

    Raises:
        KeyError: no model builds it.
    """
    schema, _, name = table.partition(".")
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and (node["schema"], node["alias"]) == (schema, name):
            return Translator().get_asset_key(node)
    raise KeyError(f"no dbt model builds {table}")


def node_selection(context: dg.AssetExecutionContext, manifest: Manifest) -> list[str]:
    """What to tell dbt to build: exactly the assets and checks of the run."""
    specs = context.assets_def.specs_by_key
    checks = context.assets_def.check_specs_by_output_name.values()
    chosen = {specs[key].metadata[UNIQUE_ID] for key in context.selected_asset_keys}
    chosen |= {spec.metadata[UNIQUE_ID] for spec in checks if spec.key in context.selected_asset_check_keys}
    return names_of(chosen, manifest)


def names_of(chosen: AbstractSet[str], manifest: Manifest) -> list[str]:
    """Nodes by their full names, or by the name of their folder where all of it is chosen.

    dbt compares each name that it is told with those of all nodes, three times; two hundred names take it seconds.
    """
    folders: dict[str, dict[str, str]] = {}
    for unique_id, node in manifest["nodes"].items():
        folders.setdefault(".".join(node["fqn"][:2]), {})[unique_id] = ".".join(node["fqn"])
    names: set[str] = set()
    for folder, nodes in folders.items():
        names |= {folder} if chosen >= nodes.keys() else {nodes[each] for each in nodes.keys() & chosen}
    return sorted(f"fqn:{name}" for name in names)


def _build(
    context: dg.AssetExecutionContext,
    dbt: DbtBuild,
    warehouse: Warehouse,
    manifest: Manifest,
    first: date,
    last: date,
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Build the run's nodes while nobody else writes, and tell Dagster what became of each."""
    with warehouse.exclusive():
        results = dbt.build(first, last, select=node_selection(context, manifest))
    keys_by_id = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.specs}
    checks_by_id = {
        spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.check_specs_by_output_name.values()
    }
    for result in results:
        if result.unique_id in keys_by_id and result.built:
            yield _materialized(keys_by_id[result.unique_id], result)
        elif result.unique_id in checks_by_id and not result.skipped:
            dimension = test_dimension(manifest["nodes"][result.unique_id])
            yield _checked(checks_by_id[result.unique_id], result, dimension)
    _raise_on_failed_models(results, keys_by_id)


def _materialized(key: dg.AssetKey, result: NodeResult) -> dg.MaterializeResult[None]:
    metadata: dict[str, dg.MetadataValue] = {
        "dbt/message": dg.MetadataValue.text(result.message),
        "dbt/seconds": dg.MetadataValue.float(round(result.seconds, 3)),
    }
    return dg.MaterializeResult(asset_key=key, metadata=metadata)


def test_dimension(node: Mapping[str, Any]) -> Dimension:
    """What a dbt test says of data: as its `meta.dimension` declares, else by its kind.

    Raises:
        ValueError: the test declares a dimension that there is none of.
    """
    declared = node["config"].get("meta", {}).get("dimension")
    if declared is None:
        return TEST_DIMENSIONS.get((node.get("test_metadata") or {}).get("name", ""), "consistency")
    for dimension in get_args(Dimension):
        if dimension == declared:
            return cast("Dimension", dimension)
    raise ValueError(f"{node['name']}: meta.dimension is {declared!r}; write one of {', '.join(get_args(Dimension))}")


def _checked(key: dg.AssetCheckKey, result: NodeResult, dimension: Dimension) -> dg.AssetCheckResult:
    """A dbt test as a check; one that could not run is a failure that says so, never a pass."""
    warns = result.status == "warn"
    return CheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=result.passed,
        severity=dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
        description=result.message or None,
        metadata={
            "dimension": dimension,
            "failed": result.failures or 0,
            "failing_rows": result.failures or 0,
            "could_not_run": result.failed,
        },
    )


def _raise_on_failed_models(results: Iterable[NodeResult], models: Mapping[str, dg.AssetKey]) -> None:
    """End the step as failed when a model is not built, after everything that was built has been recorded.

    Also where dbt left it out because a test before it failed: such a build is not complete.
    """
    of_models = [result for result in results if result.unique_id in models]
    broken = [result for result in of_models if result.failed]
    left_out = [result.unique_id for result in of_models if result.skipped]
    if broken:
        raise dg.Failure(
            description="dbt could not build " + "; ".join(f"{each.unique_id}: {each.message}" for each in broken),
            metadata={each.unique_id: each.message for each in broken},
            allow_retries=False,
        )
    if left_out:
        raise dg.Failure(
            description=f"dbt left {len(left_out)} models out, since tests before them failed: {', '.join(left_out)}",
            metadata={"models_left_out": left_out},
            allow_retries=False,
        )
