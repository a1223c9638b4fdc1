"""The catalogue: everything that is declared once, and from which the rest is derived or against which it is tested.

The YAML files beside this module are the declarations: the tracking plan (``plan/``, one file per stream, with
``common_fields`` and ``vocabularies``), KPIs, dashboards, owners, SLA tiers, retention classes, access roles, datasets,
tenants with their holiday calendars, and texts in other languages (``translations/``). ``load_catalog`` turns them into
one frozen, typed ``Catalog`` or raises ``CatalogError``, which names file, field and mend. Nothing is read at import,
and nothing of ours is imported.

To add an event, write it into its stream's file; a KPI or a dashboard, into theirs; the loader says what is missing.
"""

from analytics_platform.catalog.dashboards import Dashboard, Extract, ExtractColumn
from analytics_platform.catalog.errors import CatalogError, Problem
from analytics_platform.catalog.governance import (
    AccessRole,
    Audience,
    Dataset,
    Dimension,
    Duration,
    Owner,
    RetentionClass,
    SlaTier,
)
from analytics_platform.catalog.identifiers import DirectIdentifiers
from analytics_platform.catalog.kpi_rules import AlertRule, AnomalyRules, ChangeRule, LimitsRule, SeasonalRule, Severity
from analytics_platform.catalog.kpis import Headline, Kpi
from analytics_platform.catalog.loader import load_catalog, load_plan
from analytics_platform.catalog.model import Catalog
from analytics_platform.catalog.plan import PII_CLASSES, Event, Field, FieldType, PiiClass, Stream, Vocabulary
from analytics_platform.catalog.reviews import ReviewAction, SignoffRole, Waiver
from analytics_platform.catalog.tenants import HolidayCalendar, OpeningHours, Tenant, WriteKey, hash_write_key
from analytics_platform.catalog.translations import Translation
from analytics_platform.catalog.views import View, ViewAxis, ViewMeasure

__all__ = [
    "PII_CLASSES",
    "AccessRole",
    "AlertRule",
    "AnomalyRules",
    "Audience",
    "Catalog",
    "CatalogError",
    "ChangeRule",
    "Dashboard",
    "Dataset",
    "Dimension",
    "DirectIdentifiers",
    "Duration",
    "Event",
    "Extract",
    "ExtractColumn",
    "Field",
    "FieldType",
    "Headline",
    "HolidayCalendar",
    "Kpi",
    "LimitsRule",
    "OpeningHours",
    "Owner",
    "PiiClass",
    "Problem",
    "RetentionClass",
    "ReviewAction",
    "SeasonalRule",
    "Severity",
    "SignoffRole",
    "SlaTier",
    "Stream",
    "Tenant",
    "Translation",
    "View",
    "ViewAxis",
    "ViewMeasure",
    "Vocabulary",
    "Waiver",
    "WriteKey",
    "hash_write_key",
    "load_catalog",
    "load_plan",
]
