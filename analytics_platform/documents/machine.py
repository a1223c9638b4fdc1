"""A document for programs: the tree behind its readable forms, with numbers both written and as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping

from analytics_platform.documents.content import Document
from analytics_platform.documents.writing import written


def render_json(document: Document, facts: Mapping[str, object] | None = None) -> bytes:
    """The document as UTF-8 JSON; the same content gives the same bytes.

    Args:
        document: what is written.
        facts: what its author adds for programs, such as keys and run ids, under ``facts``.
    """
    tree = {**written(document).tree, **({"facts": dict(facts)} if facts is not None else {})}
    text = json.dumps(tree, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    return f"{text}\n".encode()
