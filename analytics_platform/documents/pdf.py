"""A document as PDF: A4, tagged for screen readers, with its fonts inside and the same bytes for the same content.

Typst sets the type from a template of ours; content reaches it as JSON and pictures as files in a folder of its own, so
no string is ever read as markup and the document can read nothing else of this machine.
"""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, time
from functools import cache
from importlib.resources import files
from pathlib import Path

from analytics_platform.documents.content import Document
from analytics_platform.documents.words import WORDS
from analytics_platform.documents.writing import written
from analytics_platform.errors import AnalyticsError

_ROOM = "analytics_platform.documents"


class DocumentNotSetError(AnalyticsError):
    """Typst could not set a document; the text is its own."""


def render_pdf(document: Document) -> bytes:
    """The document as PDF.

    Raises:
        DocumentNotSetError: typst refused it.
    """
    whole = written(document)
    content = {**whole.tree, "words": dict(WORDS[document.language]), "date": list(document.dated.timetuple()[:3])}
    with tempfile.TemporaryDirectory(prefix="document-") as name:
        root = Path(name)
        (root / "content.json").write_text(json.dumps(content), encoding="utf-8")
        for number, picture in enumerate(whole.pictures):
            (root / f"{number}.svg").write_bytes(picture.svg)
        (root / "document.typ").write_text(_template(), encoding="utf-8")
        return _compiled(root, datetime.combine(document.dated, time(), UTC))


def _compiled(root: Path, timestamp: datetime) -> bytes:
    import typst  # 40 MB that only a report needs

    try:
        pdf = typst.compile(
            root / "document.typ",
            root=root,
            font_paths=[_fonts()],
            ignore_system_fonts=True,
            format="pdf",
            timestamp=timestamp,
            pdf_tags=True,
        )
    except typst.TypstError as error:
        raise DocumentNotSetError(f"typst could not set the document: {error.diagnostic or error.message}") from error
    if not isinstance(pdf, bytes):
        raise DocumentNotSetError(f"typst gave {type(pdf).__name__} instead of the bytes of a PDF")
    return pdf


@cache
def _fonts() -> Path:
    """The folder with DejaVu, which matplotlib brings along, so that a document looks alike on every machine."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"


@cache
def _template() -> str:
    return files(_ROOM).joinpath("templates", "document.typ").read_text(encoding="utf-8")
