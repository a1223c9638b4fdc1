"""What readers see of the catalogue in another language: texts by the name of what they speak about.

English is the language of the declarations themselves; ``translations/<language>.yaml`` holds every other. That none is
missing is a rule of :mod:`~analytics_platform.catalog.cross_references`.
"""

from collections.abc import Mapping

from analytics_platform.catalog.declared import Declared
from analytics_platform.catalog.values import Name, Text


class TitledText(Declared):
    """What something is called and what it shows."""

    title: Text
    description: Text


class KpiText(TitledText):
    """A KPI's words; ``definition`` says the same as the one that finance signs."""

    definition: Text


class DashboardText(TitledText):
    """A dashboard's words, and those of its views by their names."""

    views: Mapping[Name, TitledText] = {}


class Translation(Declared):
    """The catalogue's texts in one language; ``roles`` are the titles of access roles."""

    kpis: Mapping[Name, KpiText]
    dashboards: Mapping[Name, DashboardText]
    roles: Mapping[Name, Text]
