"""The project as files: what Power BI Desktop opens, what goes into the lake, and one zip of both items.

The same catalogue, policy and settings give the same bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from analytics_platform.lake.store import ObjectMissingError, ObjectStore
from analytics_platform.reporting.power_bi.model import Model
from analytics_platform.reporting.power_bi.names import PROJECT, identity
from analytics_platform.reporting.power_bi.report import report_files
from analytics_platform.reporting.power_bi.semantic_model import semantic_model_files
from analytics_platform.reporting.power_bi.sources import views

PREFIX = "bi/power_bi/"
"""Where the project lies in the lake."""

ZIP_KEY = f"{PREFIX}{PROJECT}.zip"
POINTER_KEY = f"{PREFIX}{PROJECT}.pbip"
"""Written last: it is what a project is opened by."""

REPORT = f"{PROJECT}.Report"
SEMANTIC_MODEL = f"{PROJECT}.SemanticModel"

_FABRIC = "https://developer.microsoft.com/json-schemas/fabric"
PBIP_SCHEMA = f"{_FABRIC}/pbip/pbipProperties/1.0.0/schema.json"
PLATFORM_SCHEMA = f"{_FABRIC}/gitIntegration/platformProperties/2.0.0/schema.json"
PBIR_SCHEMA = f"{_FABRIC}/item/report/definitionProperties/2.0.0/schema.json"
PBISM_SCHEMA = f"{_FABRIC}/item/semanticModel/definitionProperties/1.0.0/schema.json"

_EPOCH = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o644 << 16


def project_files(model: Model, roles: Mapping[str, str]) -> dict[str, bytes]:
    """Every file of the project by its path, with forward slashes.

    Args:
        model: the semantic model.
        roles: the text of each role by name, compiled for this model (`governance.access.power_bi`).
    """
    documents: dict[str, Any] = {
        f"{PROJECT}.pbip": {
            "$schema": PBIP_SCHEMA,
            "version": "1.0",
            "artifacts": [{"report": {"path": REPORT}}],
            "settings": {"enableAutoRecovery": True},
        },
        f"{REPORT}/.platform": _platform("Report"),
        f"{REPORT}/definition.pbir": {
            "$schema": PBIR_SCHEMA,
            "version": "4.0",
            "datasetReference": {"byPath": {"path": f"../{SEMANTIC_MODEL}"}},
        },
        f"{SEMANTIC_MODEL}/.platform": _platform("SemanticModel"),
        f"{SEMANTIC_MODEL}/definition.pbism": {"$schema": PBISM_SCHEMA, "version": "4.2", "settings": {}},
    }
    documents |= {f"{REPORT}/definition/{name}": document for name, document in report_files(model).items()}
    texts = {f"{SEMANTIC_MODEL}/definition/{name}": text for name, text in semantic_model_files(model, roles).items()}
    if model.source.is_warehouse:
        texts["extract_views.sql"] = "\n".join(views(fact.dashboard, fact.extract) for fact in model.facts)
    files = {name: _json(document) for name, document in documents.items()}
    return dict(sorted((files | {name: text.encode() for name, text in texts.items()}).items()))


def zipped(files: Mapping[str, bytes]) -> bytes:
    """The files as one zip, with the same bytes whenever it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, _FILE_MODE
            archive.writestr(entry, body)
    return buffer.getvalue()


def unzipped(archive: bytes) -> dict[str, bytes]:
    """The files of a zip."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def write_project(store: ObjectStore, files: Mapping[str, bytes]) -> int:
    """Put the project into the lake; answer how many objects changed.

    Each object is replaced atomically, the zip holds all of them at once, and the pointer comes last. What an earlier
    project had and this one has not is taken away.
    """
    wanted = {f"{PREFIX}{name}": body for name, body in files.items()}
    wanted |= {ZIP_KEY: zipped(files), POINTER_KEY: wanted.pop(POINTER_KEY)}
    changed = [key for key, body in wanted.items() if _stored(store, key) != body]
    for key in changed:
        store.put(key, wanted[key])
    gone = [info.key for info in store.list(PREFIX) if info.key not in wanted]
    for key in gone:
        store.delete(key)
    return len(changed) + len(gone)


def read_project(store: ObjectStore) -> dict[str, bytes]:
    """The project that is in the lake, from its zip.

    Raises:
        ObjectMissingError: none was written.
    """
    return unzipped(store.get(ZIP_KEY))


def _stored(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get(key)
    except ObjectMissingError:
        return None


def _platform(kind: str) -> dict[str, Any]:
    return {
        "$schema": PLATFORM_SCHEMA,
        "metadata": {"type": kind, "displayName": PROJECT},
        "config": {"version": "2.0", "logicalId": identity("item", kind)},
    }


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
