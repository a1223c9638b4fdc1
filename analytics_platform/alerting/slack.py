"""Slack's Web API as delivery needs it: post, edit, and find out whether a post arrived.

`slack_sdk` repeats a request by itself when the connection breaks, and may be told to when Slack answers 500. Either
may come after the message was posted, so posts are repeated here by nobody but the rate limit's handler: Slack answers
429 without having done anything. Reading and editing may be repeated freely.

A picture is uploaded without a channel, where nobody sees it, and shown by the message that names it. So an upload may
be repeated too, and what must happen once is one post; `files_upload_v2` with a channel would post for itself, without
a key to find it by.
"""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from urllib.error import URLError
from urllib.request import Request, urlopen

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler
from slack_sdk.http_retry.builtin_handlers import ServerErrorRetryHandler
from slack_sdk.web import SlackResponse

from analytics_platform.alerting.outbox import Attachment, Message

METADATA_EVENT = "analytics_alert"
"""Type of the metadata that carries the idempotency key in each message."""

RATE_LIMIT_RETRIES = 2
READ_RETRIES = 3
TIMEOUT_SECONDS = 20
HISTORY_PAGE = 200

_MAY_HAVE_WORKED = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable"})
_BLOCKS_REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "too_many_blocks"})
_GONE = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "cannot_reply_to_message"}
)
_CODE = re.compile(r"[a-z0-9_]{1,80}")
_NEVER_LEFT = (ConnectionRefusedError, socket.gaierror)
_NETWORK = (OSError, http.client.HTTPException)

_PARSE = "none"
"""With `link_names` off: Slack makes no mention or channel link of words that look like one."""


class Posted(NamedTuple):
    """Slack has it."""

    ts: str
    channel_id: str


class Unsure(NamedTuple):
    """Slack may have it."""

    error: str


class NotPosted(NamedTuple):
    """Slack has it not, and might take it later; `wait_seconds` where Slack said when."""

    error: str
    wait_seconds: float | None = None


class BlocksRefused(NamedTuple):
    """Slack has it not: it does not take the blocks."""

    error: str


class Gone(NamedTuple):
    """What was to be edited or answered is not there any more."""

    error: str


class Uploaded(NamedTuple):
    """Slack has the file, and nobody was shown it."""

    file_id: str


Outcome = Posted | Unsure | NotPosted | BlocksRefused | Gone


class Found(NamedTuple):
    """What a search found: where the message is, None where it is not there."""

    posted: Posted | None


class Slack(Protocol):
    """What delivery needs of Slack."""

    def post(self, message: Message, channel: str, thread_ts: str | None, *, plain: bool) -> Outcome:
        """Post a message, as a reply where `thread_ts` is given, without its blocks where `plain`."""

    def edit(self, message: Message, posted: Posted, *, plain: bool) -> Outcome:
        """Replace a message's words."""

    def find(
        self, key: str, channel: str, channel_id: str | None, thread_ts: str | None, since: datetime
    ) -> Found | Unsure | NotPosted:
        """Look for a message by its key among those since then; anything but `Found` is a failure to look."""

    def upload(self, picture: Attachment, body: bytes) -> Uploaded | NotPosted:
        """Give Slack a picture's bytes without showing them to anybody."""


class SlackClient:
    """Slack over HTTP."""

    def __init__(self, token: str, base_url: str, *, timeout_seconds: int = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout_seconds
        limited = RateLimitErrorRetryHandler(max_retry_count=RATE_LIMIT_RETRIES)
        repeated = [
            limited,
            ServerErrorRetryHandler(max_retry_count=READ_RETRIES),
            ConnectionErrorRetryHandler(max_retry_count=READ_RETRIES),
        ]
        self._once = WebClient(token, base_url, timeout=timeout_seconds, retry_handlers=[limited])
        self._repeated = WebClient(token, base_url, timeout=timeout_seconds, retry_handlers=repeated)

    def post(self, message: Message, channel: str, thread_ts: str | None, *, plain: bool) -> Outcome:
        """Post a message, at most once."""
        return _tried(
            lambda: self._once.chat_postMessage(
                channel=channel,
                text=message.text,
                blocks=None if plain else list(message.blocks),
                thread_ts=thread_ts,
                metadata={"event_type": METADATA_EVENT, "event_payload": {"key": message.key}},
                unfurl_links=False,
                unfurl_media=False,
                link_names=False,
                parse=_PARSE,
            )
        )

    def edit(self, message: Message, posted: Posted, *, plain: bool) -> Outcome:
        """Replace a message's words; doing it twice does no harm."""
        return _tried(
            lambda: self._repeated.chat_update(
                channel=posted.channel_id,
                ts=posted.ts,
                text=message.text,
                blocks=[] if plain else list(message.blocks),
                link_names=False,
                parse=_PARSE,
            )
        )

    def find(
        self, key: str, channel: str, channel_id: str | None, thread_ts: str | None, since: datetime
    ) -> Found | Unsure | NotPosted:
        """Look for a message by the key in its metadata."""
        try:
            place = channel_id or self._id_of(channel)
            if place is None:
                return NotPosted("channel_not_found")
            for message in self._messages(place, thread_ts, since):
                if _key_of(message) == key:
                    return Found(Posted(str(message["ts"]), place))
        except SlackApiError as error:
            judged = _judged(error)
            return judged if isinstance(judged, Unsure) else NotPosted(judged.error)
        except _NETWORK as error:
            return Unsure(type(error).__name__)
        return Found(None)

    def upload(self, picture: Attachment, body: bytes) -> Uploaded | NotPosted:
        """Give Slack a picture's bytes without showing them to anybody; may be repeated."""
        try:
            answer = self._repeated.files_getUploadURLExternal(
                filename=picture.filename, length=len(body), alt_txt=picture.alt
            )
            file_id = str(answer["file_id"])
            _send_bytes(str(answer["upload_url"]), body, self._timeout)
            self._repeated.files_completeUploadExternal(files=[{"id": file_id, "title": picture.filename}])
        except SlackApiError as error:
            judged = _judged(error)
            return judged if isinstance(judged, NotPosted) else NotPosted(judged.error)
        except _NETWORK as error:
            return NotPosted(_network(error).error)
        return Uploaded(file_id)

    def _messages(self, channel_id: str, thread_ts: str | None, since: datetime) -> Iterator[Mapping[str, Any]]:
        oldest = f"{since.timestamp():.6f}"
        if thread_ts:
            pages = self._repeated.conversations_replies(
                channel=channel_id, ts=thread_ts, oldest=oldest, limit=HISTORY_PAGE, include_all_metadata=True
            )
        else:
            pages = self._repeated.conversations_history(
                channel=channel_id, oldest=oldest, limit=HISTORY_PAGE, include_all_metadata=True
            )
        for page in pages:
            yield from page["messages"]

    def _id_of(self, channel: str) -> str | None:
        pages = self._repeated.conversations_list(
            types="public_channel,private_channel", exclude_archived=True, limit=1000
        )
        for page in pages:
            for each in page["channels"]:
                if each["name"] == channel.removeprefix("#"):
                    return str(each["id"])
        return None


def _send_bytes(url: str, body: bytes, timeout: float) -> None:
    """Put a file's bytes where Slack said; the address itself is the permission, so no token goes there."""
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise http.client.HTTPException("the address for the upload is not encrypted")
    with urlopen(Request(url, data=body, method="POST"), timeout=timeout) as answer:  # noqa: S310 - checked above
        answer.read()


def _tried(write: Callable[[], SlackResponse]) -> Outcome:
    """What became of a message that was posted or edited."""
    try:
        answer = write()
    except SlackApiError as error:
        return _judged(error)
    except _NETWORK as error:
        return _network(error)
    return Posted(str(answer["ts"]), str(answer["channel"]))


def _judged(error: SlackApiError) -> Unsure | NotPosted | BlocksRefused | Gone:
    """What an answer other than ok means for the message. Only Slack's code is kept of it."""
    response = error.response
    assert isinstance(response, SlackResponse)
    code = str(response["error"])
    if response.status_code == 429:
        return NotPosted("ratelimited", _wait(response.headers))
    if response.status_code >= 500 or code in _MAY_HAVE_WORKED:
        return Unsure(code if _CODE.fullmatch(code) else f"http_{response.status_code}")
    if not _CODE.fullmatch(code):
        return Unsure("not_an_answer_of_slack")  # a proxy's page, perhaps in place of an ok
    if code in _BLOCKS_REFUSED:
        return BlocksRefused(code)
    return Gone(code) if code in _GONE else NotPosted(code)


def _network(error: Exception) -> Unsure | NotPosted:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, _NEVER_LEFT):
        return NotPosted(type(reason).__name__)
    return Unsure(type(reason).__name__ if isinstance(reason, Exception) else type(error).__name__)


def _wait(headers: Mapping[str, str]) -> float | None:
    told = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    return float(told) if told and told.isdigit() else None


def _key_of(message: Mapping[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    return payload.get("key") if metadata.get("event_type") == METADATA_EVENT else None
