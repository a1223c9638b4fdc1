"""fakesnow's server, for tests that want Snowflake: the real connector and dbt's real adapter talk to it over HTTP.

It runs in a process and an environment of its own, since it wants an older sqlglot than the platform, which translates
SQL by it: `make fakesnow` makes it, FAKESNOW_PYTHON names another. Where there is none a test is skipped, or fails if
REQUIRE_FAKESNOW is 1. A pass here is a gate, and no proof on Snowflake: docs/snowflake.md says what is unproven.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from served import free_ports, required_environment, served

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "tests" / "warehouse" / "fakesnow_server.py"
PASSPHRASE = "only for the stand-in"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class StandIn:
    """A running server, and a key to log in with, which it does not look at."""

    port: int
    key: Path

    def settings(self, **chosen: object) -> Mapping[str, object]:
        """Settings of a deployment whose warehouse it is; name a database of one's own."""
        return {
            "warehouse": "snowflake",
            "snowflake_account": "stand-in",
            "snowflake_private_key_file": str(self.key),
            "snowflake_private_key_passphrase": PASSPHRASE,
            "snowflake_host": "127.0.0.1",
            "snowflake_port": self.port,
            "snowflake_protocol": "http",
            **chosen,
        }

    def query_tags(self) -> str:
        """The statements that set a tag, one a line, as the server was sent them."""
        return (self.key.parent / "query_tags.sql").read_text(encoding="utf-8")


@contextmanager
def snowflake_stand_in(folder: Path) -> Iterator[StandIn]:
    """A server of one's own, with databases in memory; it is gone afterwards."""
    found = Path(os.environ.get("FAKESNOW_PYTHON", ROOT / ".venv-fakesnow" / "bin" / "python"))
    python = required_environment(found, "REQUIRE_FAKESNOW", "fakesnow")
    (port,) = free_ports(1)
    with served([python, SERVER, port], port, folder / "fakesnow.log", seconds=_START_SECONDS):
        yield StandIn(port, _private_key(folder / "snowflake.p8"))


def _private_key(file: Path) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSPHRASE.encode()),
        )
    )
    return file
