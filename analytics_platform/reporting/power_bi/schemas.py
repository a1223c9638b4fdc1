"""Validating a project's JSON files against Microsoft's published schemas, from a copy of them on this machine.

The schemas are Microsoft's (https://github.com/microsoft/json-schemas, MIT) and are published under the addresses that
the files name in `$schema`. No package of an index brings them and nothing is fetched here, so who wants this check
says where a checkout is; what is judged always, without one, is `contracts`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from analytics_platform.errors import AnalyticsError

ADDRESS = "https://developer.microsoft.com/json-schemas/"


class SchemaMissingError(AnalyticsError):
    """The folder has no schema of an address; the text names both."""


def schema_problems(files: Mapping[str, bytes], folder: Path) -> list[str]:
    """What Microsoft's schemas say against the project's JSON files: each names the file, the place and the complaint.

    Args:
        files: the project.
        folder: a checkout of microsoft/json-schemas.

    Raises:
        SchemaMissingError: the checkout lacks a schema that a file names.
    """
    import jsonschema_rs

    validators: dict[str, Any] = {}
    found = []
    for name, document in _documents(files):
        address = document["$schema"]
        if address not in validators:
            schema = _schema(folder, address)
            validators[address] = jsonschema_rs.Draft7Validator(
                schema, base_uri=address, retriever=lambda uri: _schema(folder, uri)
            )
        for error in validators[address].iter_errors(document):
            place = "/".join(str(part) for part in error.instance_path)
            found.append(f"{name}: {place or 'the document'}: {error.message}")
    return found


def _documents(files: Mapping[str, bytes]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, body in files.items():
        if name.endswith((".json", ".pbip", ".pbir", ".pbism", ".platform")):
            yield name, json.loads(body)


def _schema(folder: Path, address: str) -> Any:
    path = folder / address.split("#")[0].removeprefix(ADDRESS)
    if not address.startswith(ADDRESS) or not path.is_file():
        raise SchemaMissingError(
            f"{folder} has no schema of {address}; give a checkout of https://github.com/microsoft/json-schemas"
        )
    return json.loads(path.read_bytes())
