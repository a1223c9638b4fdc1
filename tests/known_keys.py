"""Identity keys for tests that ask nothing of them but that they are there, and a gate with them.

They are the same in every run, as everything is that follows from them: payload hashes decide between equals.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analytics_platform.catalog import Catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.intake.gate import Gate

_FOLDER = TemporaryDirectory(prefix="analytics-test-keys-")


def _file() -> Path:
    """A file of keys for every tenant that tests know."""
    path = Path(_FOLDER.name) / "identity_keys.json"
    tenants = ("_unknown", "albion-stage", "brabant-rental", "delta-events", "noord-rigging", "tenant_42")
    said = {
        tenant: {
            "fingerprint": hashlib.sha256(f"fingerprint {tenant}".encode()).hexdigest(),
            "versions": [{"secret": hashlib.sha256(tenant.encode()).hexdigest(), "made_at": "2026-01-01T00:00:00Z"}],
        }
        for tenant in tenants
    }
    path.write_text(json.dumps({"tenants": said}))
    return path


KEYS = IdentityKeys(_file())
SEALS = TenantSeals(KEYS)


def gate_of(catalog: Catalog, **options: Any) -> Gate:
    """A gate of a deployment in which nobody was erased."""
    return Gate(catalog, **{"identities": KEYS, "suppressed": Suppressions} | options)
