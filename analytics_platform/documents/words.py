"""The words that every document shares, per language; a language is added here, not built in.

What a document says is its author's; these are the words of its parts: verdicts, units, months, page numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["en-GB", "nl-NL"]

WORDS: Mapping[Language, Mapping[str, str]] = {
    "en-GB": {
        "absent": "no data",
        "bad": "not good",
        "better": "better",
        "contents": "Go to the contents",
        "day_short": "d",
        "down": "down",
        "error": "Error",
        "flat": "unchanged",
        "good": "good",
        "hour_short": "h",
        "info": "Note",
        "minute_short": "min",
        "months": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "page": "Page {page} of {pages}",
        "points": "pts",
        "unknown": "not known",
        "up": "up",
        "warning": "Attention",
        "worse": "worse",
    },
    "nl-NL": {
        "absent": "geen gegevens",
        "bad": "niet goed",
        "better": "beter",
        "contents": "Naar de inhoud",
        "day_short": "d",
        "down": "omlaag",
        "error": "Fout",
        "flat": "onveranderd",
        "good": "goed",
        "hour_short": "u",
        "info": "Opmerking",
        "minute_short": "min",
        "months": "jan feb mrt apr mei jun jul aug sep okt nov dec",
        "page": "Pagina {page} van {pages}",
        "points": "pt",
        "unknown": "niet bekend",
        "up": "omhoog",
        "warning": "Let op",
        "worse": "slechter",
    },
}


def plain(text: str) -> str:
    """Text with a replacement character for what no reader sees and some renderers refuse or obey.

    That is control characters, lone surrogates, and marks that turn the direction of writing.
    """
    return "".join("\ufffd" if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    code = ord(character)
    if code < 0x20:
        return character not in "\n\t"
    is_control = 0x7F <= code <= 0x9F
    is_direction = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    is_refused_by_xml = 0xD800 <= code <= 0xDFFF or code & 0xFFFE == 0xFFFE
    return is_control or is_direction or is_refused_by_xml
