"""The loaded catalogue: every declaration by name, and the look-ups that all rooms need."""

from collections.abc import Mapping
from functools import cached_property

from analytics_platform.catalog.dashboards import Dashboard
from analytics_platform.catalog.declared import Declared, Listed
from analytics_platform.catalog.governance import AccessRole, Audience, Dataset, Owner, RetentionClass, SlaTier
from analytics_platform.catalog.identifiers import DirectIdentifiers
from analytics_platform.catalog.kpis import Kpi
from analytics_platform.catalog.plan import Event, Field, Stream, Vocabulary
from analytics_platform.catalog.processing import ProcessingActivity, SecurityMeasure
from analytics_platform.catalog.quality import PersonalDataPattern, Reference, StreamQuality, TableLimits
from analytics_platform.catalog.reviews import ReviewAction, SignoffRole, Waiver
from analytics_platform.catalog.tenants import HolidayCalendar, Tenant, WriteKey, hash_write_key
from analytics_platform.catalog.translations import Translation


class Catalog(Declared):
    """What is declared, each collection keyed by name in the order of its file (streams in their own order)."""

    streams: Mapping[str, Stream]
    common_fields: Listed[Field]
    vocabularies: Mapping[str, Vocabulary]
    kpis: Mapping[str, Kpi]
    owners: Mapping[str, Owner]
    sla_tiers: Mapping[str, SlaTier]
    retention_classes: Mapping[str, RetentionClass]
    access_roles: Mapping[str, AccessRole]
    datasets: Mapping[str, Dataset]
    stream_quality: Mapping[str, StreamQuality]
    references: Mapping[str, Reference]
    value_limits: Mapping[str, TableLimits]
    personal_data_patterns: Mapping[str, PersonalDataPattern]
    direct_identifiers: DirectIdentifiers
    dashboards: Mapping[str, Dashboard]
    holiday_calendars: Mapping[str, HolidayCalendar]
    tenants: Mapping[str, Tenant]
    signoff_roles: Mapping[str, SignoffRole]
    waivers: Mapping[str, Waiver]
    review_actions: Mapping[str, ReviewAction]
    processing_activities: Mapping[str, ProcessingActivity]
    security_measures: Mapping[str, SecurityMeasure]
    translations: Mapping[str, Translation]

    @cached_property
    def events(self) -> Mapping[str, Event]:
        """All events of the plan by name, stream by stream."""
        return {event.name: event for stream in self.streams.values() for event in stream.events}

    def audiences_of(self, dataset: str) -> list[Audience]:
        """Everybody whose role may see a dataset, in the order of the roles; a role for own tenants once for each."""
        roles = [role for role in self.access_roles.values() if role.may_see(dataset)]
        return [audience for role in roles for audience in role.audiences(self.tenants)]

    @cached_property
    def _write_keys(self) -> Mapping[str, tuple[Tenant, WriteKey]]:
        return {key.sha256: (tenant, key) for tenant in self.tenants.values() for key in tenant.write_keys}

    def find_write_key(self, plain: str) -> tuple[Tenant, WriteKey] | None:
        """The tenant and registry entry of a plain write key; None when it is not registered."""
        return self._write_keys.get(hash_write_key(plain))
