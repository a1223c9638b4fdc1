"""The JSON files of a project as types: what this platform writes of PBIP and PBIR, and nothing beside it.

Stricter than Microsoft's schemas where these allow more than is meant here, and written by hand after them, because no
package of an index brings the schemas. `schemas` judges by the originals where somebody has them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from analytics_platform.reporting.power_bi.project import PBIP_SCHEMA, PBIR_SCHEMA, PBISM_SCHEMA, PLATFORM_SCHEMA
from analytics_platform.reporting.power_bi.report import (
    PAGE_SCHEMA,
    PAGES_SCHEMA,
    REPORT_SCHEMA,
    VERSION_SCHEMA,
    VISUAL_SCHEMA,
)

_NAME = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")]
_SIZE = Annotated[float, Field(gt=0)]
_UUID = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
VisualType = Literal["barChart", "card", "lineChart", "slicer", "tableEx"]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Document(_Written):
    schema_: str = Field(alias="$schema")


class _Entity(_Written):
    entity: str = Field(alias="Entity", min_length=1)


class _SourceRef(_Written):
    source: _Entity = Field(alias="SourceRef")


class _Property(_Written):
    expression: _SourceRef = Field(alias="Expression")
    name: str = Field(alias="Property", min_length=1)


class FieldReference(_Written):
    """A column or a measure of the model: exactly one of the two."""

    column: _Property | None = Field(default=None, alias="Column")
    measure: _Property | None = Field(default=None, alias="Measure")

    @model_validator(mode="after")
    def _names_one(self) -> FieldReference:
        if (self.column is None) == (self.measure is None):
            raise ValueError("a field is a Column or a Measure")
        return self

    @property
    def table(self) -> str:
        """The table that the field is in."""
        return self._named.expression.source.entity

    @property
    def name(self) -> str:
        """The field's name."""
        return self._named.name

    @property
    def _named(self) -> _Property:
        found = self.measure or self.column
        assert found is not None
        return found


class Projection(_Written):
    """A field as a visual shows it."""

    field: FieldReference
    query_ref: str = Field(alias="queryRef")
    native_query_ref: str = Field(alias="nativeQueryRef")
    active: bool | None = None

    @model_validator(mode="after")
    def _is_called_as_it_is(self) -> Projection:
        if self.query_ref != f"{self.field.table}.{self.field.name}":
            raise ValueError(f"queryRef {self.query_ref} is not the field {self.field.table}.{self.field.name}")
        return self


class _Role(_Written):
    projections: tuple[Projection, ...] = Field(min_length=1)


class _Query(_Written):
    state: dict[Literal["Values", "Category", "Y"], _Role] = Field(alias="queryState", min_length=1)


class _SyncGroup(_Written):
    name: str = Field(alias="groupName")
    field_changes: bool = Field(alias="fieldChanges")
    filter_changes: bool = Field(alias="filterChanges")


class _Visual(_Written):
    type: VisualType = Field(alias="visualType")
    query: _Query
    objects: dict[str, list[dict[str, JsonValue]]] = {}
    container_objects: dict[Literal["title", "general"], list[dict[str, JsonValue]]] = Field(
        alias="visualContainerObjects"
    )
    sync_group: _SyncGroup | None = Field(default=None, alias="syncGroup")
    filters_others: bool = Field(alias="drillFilterOtherVisuals")


class _Position(_Written):
    x: float = Field(ge=0)
    y: float = Field(ge=0)
    z: float = Field(ge=0)
    height: _SIZE
    width: _SIZE
    tab_order: int = Field(alias="tabOrder", ge=0)


class VisualDocument(_Document):
    """`visual.json`."""

    schema_: Literal[VISUAL_SCHEMA] = Field(alias="$schema")  # type: ignore[valid-type]
    name: _NAME
    position: _Position
    visual: _Visual

    @property
    def fields(self) -> list[FieldReference]:
        """Every field that the visual shows."""
        return [each.field for role in self.visual.query.state.values() for each in role.projections]


class PageDocument(_Document):
    """`page.json`."""

    schema_: Literal[PAGE_SCHEMA] = Field(alias="$schema")  # type: ignore[valid-type]
    name: _NAME
    display_name: str = Field(alias="displayName", min_length=1)
    display_option: Literal["FitToPage", "FitToWidth"] = Field(alias="displayOption")
    height: _SIZE
    width: _SIZE


class PagesDocument(_Document):
    """`pages.json`."""

    schema_: Literal[PAGES_SCHEMA] = Field(alias="$schema")  # type: ignore[valid-type]
    order: tuple[str, ...] = Field(alias="pageOrder", min_length=1)
    active: str = Field(alias="activePageName")


class _Filter(_Written):
    name: _NAME
    field: FieldReference
    type: Literal["RelativeDate"]
    filter: dict[Literal["Version", "From", "Where"], JsonValue]
    how_created: Literal["User"] = Field(alias="howCreated")


class _Filters(_Written):
    filters: tuple[_Filter, ...]


class ReportDocument(_Document):
    """`report.json`."""

    schema_: Literal[REPORT_SCHEMA] = Field(alias="$schema")  # type: ignore[valid-type]
    themes: dict[str, JsonValue] = Field(alias="themeCollection")
    filter_config: _Filters = Field(alias="filterConfig")
    settings: dict[str, bool | str]

    @property
    def fields(self) -> list[FieldReference]:
        """Every field that the report filters by."""
        return [each.field for each in self.filter_config.filters]


class _VersionDocument(_Document):
    schema_: Literal[VERSION_SCHEMA] = Field(alias="$schema")  # type: ignore[valid-type]
    version: str = Field(pattern=r"^[1-9][0-9]*\.(0|[1-9][0-9]*)\.0$")


class _ReportPath(_Written):
    path: str


class _Artifact(_Written):
    report: _ReportPath


class ShortcutDocument(_Document):
    """The `.pbip` file."""

    schema_: Literal[PBIP_SCHEMA] = Field(alias="$schema")  # type: ignore[valid-type]
    version: Literal["1.0"]
    artifacts: tuple[_Artifact, ...] = Field(min_length=1)
    settings: dict[Literal["enableAutoRecovery"], bool] = {}


class _ByPath(_Written):
    by_path: _ReportPath = Field(alias="byPath")


class ReportDefinition(_Document):
    """`definition.pbir`."""

    schema_: Literal[PBIR_SCHEMA] = Field(alias="$schema")  # type: ignore[valid-type]
    version: Literal["4.0"]
    dataset: _ByPath = Field(alias="datasetReference")


class _ModelDefinition(_Document):
    schema_: Literal[PBISM_SCHEMA] = Field(alias="$schema")  # type: ignore[valid-type]
    version: Literal["4.2"]
    settings: dict[str, bool]


class _Metadata(_Written):
    type: Literal["Report", "SemanticModel"]
    display_name: str = Field(alias="displayName", min_length=1)


class _Config(_Written):
    version: Literal["2.0"]
    logical_id: _UUID = Field(alias="logicalId")


class _Platform(_Document):
    schema_: Literal[PLATFORM_SCHEMA] = Field(alias="$schema")  # type: ignore[valid-type]
    metadata: _Metadata
    config: _Config


_KINDS: tuple[tuple[str, type[_Document]], ...] = (
    ("/visual.json", VisualDocument),
    ("/page.json", PageDocument),
    ("/pages.json", PagesDocument),
    ("/report.json", ReportDocument),
    ("/version.json", _VersionDocument),
    (".pbip", ShortcutDocument),
    ("/definition.pbir", ReportDefinition),
    ("/definition.pbism", _ModelDefinition),
    ("/.platform", _Platform),
)
"""Endings of files, and what stands in them."""


class UnknownFileError(ValueError):
    """A file has a name that no project of ours has."""


def read_document(name: str, body: bytes) -> Any:
    """A JSON file of a project, as its type.

    Raises:
        UnknownFileError: files of that name are in no project.
        ValidationError: it is not what it should be.
    """
    for ending, kind in _KINDS:
        if name.endswith(ending):
            return kind.model_validate_json(body)
    raise UnknownFileError(f"{name} is no file of a project")


def complaints(error: ValidationError) -> list[str]:
    """What a document is refused for, a line each."""
    return [f"{'/'.join(map(str, each['loc'])) or 'the document'}: {each['msg']}" for each in error.errors()]
