"""What all pages of ours share: how their templates are read, and how a policy names what is inlined in them."""

from __future__ import annotations

import base64
import hashlib

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates_of(room: str) -> Environment:
    """The templates of a room (a package with a folder ``templates``): every string is escaped, none may be missing."""
    return Environment(
        loader=PackageLoader(room, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def hash_source(text: str) -> str:
    """How a content-security policy allows this script or style sheet, and no other."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
