"""A person whose identifiers stand in every place of a message, and a search for them in every byte of some folders."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pyarrow.parquet as pq
import zstandard

AT = "2026-11-22T18:15:00Z"

EMAIL, WORK, URL_EMAIL = "Zwaantje.Oldenhuis@example.nl", "z.oldenhuis@work.example", "zo+news@mail.example.co.uk"
USER, DEVICE, GROUP, PREVIOUS = "zo.user@a.example", "zo.device@b.example", "zo.group@c.example", "zo.was@d.example"
ID_EMAIL, KEY_EMAIL, DEEP_EMAIL, LETTER_EMAIL = (
    "zo.id@e.example",
    "zo.key@f.example",
    "zo.deep@g.example",
    "zo@h.example",
)
PHONE, URL_PHONE, REF_PHONE = "+31 6 12345678", "+31687654321", "0687651234"
IBAN, IP, IP6, TEXT_IP = "NL91ABNA0417164300", "203.0.113.77", "2001:db8:85a3:0:0:8a2e:370:7334", "198.51.100.9"
FIRST, LAST, STREET, CLUB, CITY = "Zwaantje", "Oldenhuis", "Kattenburgerkade 7", "Ornithopter circle", "Appingedam"
PHONE_NAME, DEVICE_ID, EXTERNAL, COMMENT = "Zwaantjes handset", "AEBE52E7-03EE", "crm-778812-x", "Ask Zwaantje about it"
LATITUDE = 53.3216789

IDENTIFY = {
    "type": "identify",
    "userId": USER,
    "anonymousId": DEVICE,
    "messageId": f"ajs-{ID_EMAIL}",
    "timestamp": AT,
    "previousId": PREVIOUS,
    "groupId": GROUP,
    "traits": {
        "email": EMAIL,
        "phone": PHONE,
        "firstName": FIRST,
        "last_name": LAST,
        "address": {"street": STREET, "lines": [CITY]},
        "clubs": [CLUB],
        "plan": f"gold for {WORK}",
        "age": 51,
        "visits": 7,
    },
    "context": {
        "ip": IP,
        "traits": {"EMail": EMAIL, "nickname": LAST},
        "device": {"id": DEVICE_ID, "name": PHONE_NAME, "model": "X1"},
        "externalIds": [{"id": EXTERNAL, "type": "crm"}],
        "location": {"city": CITY, "latitude": LATITUDE},
        "page": {
            "url": f"https://app.test/a?next=%2Fb%3Fmail%3D{quote(quote(URL_EMAIL, safe=''), safe='')}&x=1",
            "search": f"?tel={quote(URL_PHONE, safe='')}",
        },
        "userAgent": "Mozilla/5.0 Chrome/140.0.0.0 Safari/537.36",
        "library": {"name": "x", "version": "1.2.3.4"},
    },
    "integrations": {"All": True, "note": f"pays from {IBAN}, seen at {TEXT_IP}"},
}
PAGE = {
    "type": "page",
    "messageId": "m-page",
    "anonymousId": "anon-1",
    "timestamp": AT,
    "properties": {
        "title": f"Mail {WORK}, or call {REF_PHONE}.",
        KEY_EMAIL: {"deep": [{"er": [f"<{DEEP_EMAIL}>", {"seen": IP6}]}]},
        "path": "/bookings/7",
    },
}
NPS = {
    "type": "track",
    "event": "nps.submitted",
    "messageId": "m-nps",
    "userId": USER,
    "timestamp": AT,
    "properties": {
        "schema_version": 1,
        "survey_id": "s-1",
        "response_id": "r-1",
        "respondent_ref": REF_PHONE,
        "score": 9,
        "submitted_at": AT,
        "touchpoint": f"call of {EMAIL}",
        "comment": COMMENT,
    },
}
REFUSED = {
    "type": "track",
    "event": f"signed up {LETTER_EMAIL}",
    "messageId": "m-refused",
    "timestamp": AT,
    "properties": {"email": EMAIL, LETTER_EMAIL: PHONE},
}
BROKEN = b'{"type": "track", "email": "' + LETTER_EMAIL.encode() + b'", "phone": "' + PHONE.encode() + b'"'

PLANTED = (
    EMAIL, WORK, URL_EMAIL, USER, DEVICE, GROUP, PREVIOUS, ID_EMAIL, KEY_EMAIL, DEEP_EMAIL, LETTER_EMAIL,
    PHONE, URL_PHONE, REF_PHONE, IBAN, IP, IP6, TEXT_IP, FIRST, LAST, STREET, CLUB, CITY, PHONE_NAME, DEVICE_ID,
    EXTERNAL, COMMENT, str(LATITUDE),
)  # fmt: skip
NOT_KEPT = {ID_EMAIL, LETTER_EMAIL}
"""A message id's is hashed and no more, a dead letter's is sealed with its letter: neither is in the table."""


def messages(tenant: str) -> list[dict[str, Any]]:
    """All of them, as messages of a tenant."""
    nps = NPS | {"properties": NPS["properties"] | {"tenant_id": tenant}}  # type: ignore[operator]
    return [IDENTIFY, PAGE, nps, REFUSED]


def survivors(*folders: Path) -> set[str]:
    """The planted values that stand, in any spelling, in any file's bytes, packed ones and Parquet's among them."""
    content = b"\n".join(part for folder in folders for path in sorted(folder.rglob("*")) for part in contents(path))
    return found_in(content.lower(), PLANTED)


def found_in(content: bytes, values: Iterable[str]) -> set[str]:
    """Those of some values that stand, in any spelling, in bytes in lower case."""
    return {value for value in values if any(spelling in content for spelling in spellings(value))}


def spellings(value: str) -> set[bytes]:
    """How a value may stand in bytes, in lower case."""
    escaped = orjson.dumps(value)[1:-1].replace(b"@", b"\\u0040")
    once = quote(value, safe="")
    found = {value, value.replace(" ", ""), once, quote(once, safe=""), value.encode().hex()}
    encoded = base64.b64encode(value.encode())[: len(value) // 3 * 4]
    return {text.lower().encode() for text in found} | {escaped.lower(), encoded.lower()}


def contents(path: Path) -> Iterator[bytes]:
    """A file's bytes and its name; what is packed in it too."""
    if not path.is_file():
        return
    data = path.read_bytes()
    yield data
    yield path.name.encode()
    if path.suffix == ".zst":
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            yield reader.read()
    elif path.suffix == ".parquet":
        table = pq.read_table(io.BytesIO(data))
        yield orjson.dumps({name: list(map(str, table[name].to_pylist())) for name in table.column_names})
