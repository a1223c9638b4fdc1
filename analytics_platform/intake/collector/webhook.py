"""Segment's webhook destination, for teams that keep Segment's cloud between their clients and this collector.

Segment signs what it sends: `X-Signature` is the HMAC-SHA1, in hexadecimal, of the JSON of a message under the secret
that the destination was given. A batch is an array of messages and its signature covers only the first of them, since
Segment computes the header from one payload (segmentio/action-destinations, `destinations/webhook`). The others are as
trustworthy as the connection; a destination that also sends the source's write key in an `Authorization` header, which
its mapping can add, closes that gap.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from analytics_platform.intake.collector.refusals import Code, RequestRefusedError

SIGNATURE = "X-Signature"


@dataclass(frozen=True, slots=True, repr=False)
class WebhookSource:
    """A Segment source that sends through its webhook destination: its secret, and the write key it stands for."""

    secret: bytes
    write_key: str


def signing_source(sources: Sequence[WebhookSource], signature: str | None, first_message: bytes) -> WebhookSource:
    """The source whose secret signed a request.

    All secrets are tried in the same time, whichever is right.

    Raises:
        RequestRefusedError: none did.
    """
    given = (signature or "").strip().lower().encode("utf-8", "replace")
    found: WebhookSource | None = None
    for source in sources:
        expected = hmac.new(source.secret, first_message, hashlib.sha1).hexdigest().encode()
        if hmac.compare_digest(expected, given):
            found = source
    if found is None:
        text = f"{SIGNATURE}: no source's secret gives this signature; put the destination's secret into the settings"
        raise RequestRefusedError(Code.UNAUTHORIZED, text)
    return found
