"""What a page says besides numbers, in every language: the catalogue's texts of what is on it, and the words around.

A page holds all languages, so that a reader may switch; ``payload`` holds names alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from analytics_platform.catalog import Catalog, Dashboard, Kpi, View
from analytics_platform.catalog.translations import KpiText, TitledText
from analytics_platform.reporting.messages import DIMENSION_NAMES, MEASURE_NAMES, PAGE_WORDS
from analytics_platform.reporting.value_words import VALUE_WORDS

Texts = dict[str, dict[str, str]]


def page_words(catalog: Catalog, payload: Mapping[str, Any], dashboards: Iterable[str]) -> dict[str, dict[str, Any]]:
    """By language, what the page of a payload says; ``dashboards`` are those that it links to."""
    kpis = [kpi["name"] for kpi in payload["kpis"]]
    shown = dict.fromkeys([*dashboards, payload["dashboard"]])
    columns = {axis["column"] for view in payload["views"] for axis in view["axes"]} | set(payload["dimensions"])
    return {
        language: {
            "page": dict(PAGE_WORDS[language]),
            "dimensions": dict(DIMENSION_NAMES[language]),
            "measures": dict(MEASURE_NAMES[language]),
            "kpis": {name: texts[language] for name, texts in _kpi_texts(catalog, kpis).items()},
            "dashboards": {name: _in_language(dashboard_texts(catalog, name), language) for name in shown},
            "views": _view_texts(catalog, payload["dashboard"])[language],
            "values": {name: dict(words) for name, words in VALUE_WORDS[language].items() if name in columns},
        }
        for language in PAGE_WORDS
    }


def dashboard_texts(catalog: Catalog, name: str) -> Texts:
    """A dashboard's titles and descriptions, each by language."""
    spoken = {
        "en": _titled(catalog.dashboards[name]),
        **{language: _titled(each.dashboards[name]) for language, each in catalog.translations.items()},
    }
    return {
        "titles": {language: text["title"] for language, text in spoken.items()},
        "descriptions": {language: text["description"] for language, text in spoken.items()},
    }


def _in_language(texts: Texts, language: str) -> dict[str, str]:
    return {"title": texts["titles"][language], "description": texts["descriptions"][language]}


def _kpi_texts(catalog: Catalog, names: Iterable[str]) -> dict[str, Texts]:
    """By KPI and language, what it is called and means."""
    return {
        name: {
            "en": _defined(catalog.kpis[name]),
            **{language: _defined(each.kpis[name]) for language, each in catalog.translations.items()},
        }
        for name in names
    }


def _view_texts(catalog: Catalog, dashboard: str) -> dict[str, Texts]:
    """By language, what the views of a dashboard are called."""
    translated = {language: each.dashboards[dashboard].views for language, each in catalog.translations.items()}
    return {
        "en": {view.name: _titled(view) for view in catalog.dashboards[dashboard].views},
        **{language: {name: _titled(text) for name, text in texts.items()} for language, texts in translated.items()},
    }


def _titled(text: Dashboard | View | TitledText) -> dict[str, str]:
    return {"title": text.title, "description": text.description}


def _defined(text: Kpi | KpiText) -> dict[str, str]:
    return {"title": text.title, "description": text.description, "definition": text.definition}
