"""Identity keys for tests that ask nothing of them but that they are there, and a gate with them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analytics_platform.catalog import Catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.intake.gate import Gate

_FOLDER = TemporaryDirectory(prefix="analytics-test-keys-")

KEYS = IdentityKeys(Path(_FOLDER.name) / "identity_keys.json")
SEALS = TenantSeals(KEYS)


def gate_of(catalog: Catalog, **options: Any) -> Gate:
    """A gate of a deployment in which nobody was erased."""
    return Gate(catalog, **{"identities": KEYS, "suppressed": Suppressions} | options)
