"""A local HTTP server that speaks the calls of Slack's Web API that we make, and refuses what Slack refuses.

`faults` says what befalls the next calls of a method, once each. A fault that strikes after the work is done is the one
that makes duplicates: Slack has the message and its client does not know.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl

from served import in_a_thread

TOKEN = "xoxb-test-token"
CHANNELS = (
    "data-platform",
    "data-finance",
    "data-operations",
    "data-growth",
    "data-customer-success",
    "data-product",
    "executives",
    "brabant-weekly",
)
UPLOAD = "upload"
"""What the server calls the address that files' bytes go to: no method, and asked without a token."""


Json = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What befalls a call: a status, Slack's error with status 200, or silence; before or after the work is done."""

    kind: Literal["status", "error", "silence", "hang_up", "page"]
    status: int = 200
    error: str = ""
    retry_after: int | None = None
    after_the_work: bool = False


class SlackServer(ThreadingHTTPServer):
    """A workspace in memory."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[tuple[str, Json]] = []
        self.messages: dict[str, list[Json]] = {f"C{number}": [] for number in range(len(CHANNELS))}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.missing_scopes: set[str] = set()
        self.scopes = "chat:write,files:write,channels:read,channels:history"
        self.without_bot: set[str] = set()
        self.date: str | None = None
        self.files: dict[str, Json] = {}
        self.page = 2  # small, so that a short history has several pages
        self.clock = time.time()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api/"

    def posted(self, channel: str) -> list[Json]:
        return self.messages[_id(channel)]

    @property
    def all_posted(self) -> list[Json]:
        return [message for messages in self.messages.values() for message in messages]

    def count(self, method: str) -> int:
        return sum(1 for called, _ in self.calls if called == method)

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults[method] += faults

    def next_ts(self) -> str:
        self.clock += 0.001
        return f"{self.clock:.6f}"

    def answer(self, method: str, body: Json) -> Json:
        if method in self.missing_scopes:
            return {"ok": False, "error": "missing_scope"}
        return {
            "auth.test": lambda _: {"ok": True, "user": "analytics", "team": "Rental"},
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.list": self._list,
            "files.getUploadURLExternal": self._upload_url,
            "files.completeUploadExternal": self._complete,
        }[method](body)

    def shown_pictures(self, message: Json) -> list[bytes]:
        """The bytes of the files that a message shows."""
        return [
            self.files[block["slack_file"]["id"]]["bytes"]
            for block in message.get("blocks") or []
            if block["type"] == "image"
        ]

    def _upload_url(self, body: Json) -> Json:
        file_id = f"F{len(self.files)}"
        self.files[file_id] = {"length": int(body["length"]), "bytes": b"", "is_complete": False}
        return {"ok": True, "file_id": file_id, "upload_url": f"{self.address}{UPLOAD}?{file_id}"}

    def take_bytes(self, file_id: str, raw: bytes) -> None:
        self.files[file_id]["bytes"] = raw

    def _complete(self, body: Json) -> Json:
        assert "channel_id" not in body, "a file that is completed with a channel is a message of its own"
        for each in json.loads(body["files"]):
            file = self.files[each["id"]]
            if len(file["bytes"]) != file["length"]:
                return {"ok": False, "error": "file_update_failed"}
            file["is_complete"] = True
        return {"ok": True, "files": json.loads(body["files"])}

    def _post(self, body: Json) -> Json:
        channel = _id(body["channel"])
        if channel not in self.messages:
            return {"ok": False, "error": "channel_not_found"}
        if problem := _refused(body) or self._shows_what_is_not_there(body):
            return {"ok": False, "error": problem}
        thread = body.get("thread_ts")
        if thread and not any(each["ts"] == thread for each in self.messages[channel]):
            return {"ok": False, "error": "thread_not_found"}
        message = {**body, "channel": channel, "ts": self.next_ts(), "edits": 0}
        self.messages[channel].append(message)
        return {"ok": True, "channel": channel, "ts": message["ts"]}

    def _shows_what_is_not_there(self, body: Json) -> str | None:
        shown = [block["slack_file"]["id"] for block in body.get("blocks") or [] if block["type"] == "image"]
        is_there = all(self.files.get(file_id, {}).get("is_complete") for file_id in shown)
        return None if is_there else "invalid_blocks"

    def _update(self, body: Json) -> Json:
        found = [each for each in self.messages.get(body["channel"], []) if each["ts"] == body["ts"]]
        if not found:
            return {"ok": False, "error": "message_not_found"}
        if problem := _refused(body):
            return {"ok": False, "error": problem}
        found[0].update({"text": body["text"], "blocks": body["blocks"], "edits": found[0]["edits"] + 1})
        return {"ok": True, "channel": body["channel"], "ts": body["ts"]}

    def _history(self, body: Json) -> Json:
        return self._paged([each for each in self.messages[body["channel"]] if not each.get("thread_ts")], body)

    def _replies(self, body: Json) -> Json:
        thread = [each for each in self.messages[body["channel"]] if body["ts"] in (each.get("thread_ts"), each["ts"])]
        return self._paged(thread, body)

    def _paged(self, messages: list[Json], body: Json) -> Json:
        recent = [each for each in reversed(messages) if float(each["ts"]) >= float(body["oldest"])]
        start = int(body.get("cursor") or 0)
        end = start + self.page
        shown = [dict(each) for each in recent[start:end]]
        if body.get("include_all_metadata") != "1":
            for each in shown:
                del each["metadata"]
        cursor = str(end) if end < len(recent) else ""
        return {"ok": True, "messages": shown, "response_metadata": {"next_cursor": cursor}}

    def _list(self, body: Json) -> Json:
        start = int(body.get("cursor") or 0)
        shown = [
            {"id": f"C{n}", "name": CHANNELS[n], "is_member": CHANNELS[n] not in self.without_bot}
            for n in range(start, min(start + 2, len(CHANNELS)))
        ]
        cursor = str(start + 2) if start + 2 < len(CHANNELS) else ""
        return {"ok": True, "channels": shown, "response_metadata": {"next_cursor": cursor}}


def _id(channel: str) -> str:
    name = channel.removeprefix("#")
    return f"C{CHANNELS.index(name)}" if name in CHANNELS else channel


def _refused(body: Json) -> str | None:
    blocks = body.get("blocks") or []
    if not body.get("text") and not blocks:
        return "no_text"
    texts = [each["text"]["text"] for each in blocks if each["type"] == "section" and "text" in each]
    fields = [field["text"] for each in blocks for field in each.get("fields", [])]
    headers = [each["text"]["text"] for each in blocks if each["type"] == "header"]
    fits = len(blocks) <= 50 and all(len(text) <= 3000 for text in texts) and all(len(text) <= 2000 for text in fields)
    return None if fits and all(len(text) <= 150 for text in headers) else "invalid_blocks"


class _Handler(BaseHTTPRequestHandler):
    server: SlackServer

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if f"/{UPLOAD}?" in self.path:
            self._take(self.path.rsplit("?", 1)[-1], raw)
            return
        is_json = self.headers["Content-Type"].startswith("application/json")
        body = json.loads(raw or b"{}") if is_json else dict(parse_qsl(raw.decode()))
        method = self.path.rsplit("/", 1)[-1]
        self.server.calls.append((method, body))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._send(200, {"ok": False, "error": "invalid_auth"})
            return
        fault = self.server.faults[method].pop(0) if self.server.faults[method] else None
        answer = None if fault and not fault.after_the_work else self.server.answer(method, body)
        if fault:
            self._strike(fault)
        elif answer:
            self._send(200, answer)

    def _take(self, file_id: str, raw: bytes) -> None:
        """The bytes of a file; its address is the permission, so a token has no business here."""
        self.server.calls.append((UPLOAD, {}))
        assert "Authorization" not in self.headers
        fault = self.server.faults[UPLOAD].pop(0) if self.server.faults[UPLOAD] else None
        if not fault or fault.after_the_work:
            self.server.take_bytes(file_id, raw)
        if fault:
            self._strike(fault)
        else:
            self._send(200, "OK")

    def _strike(self, fault: Fault) -> None:
        if fault.kind == "silence":
            time.sleep(1.5)
        if fault.kind in ("silence", "hang_up"):
            self.close_connection = True
            return
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if fault.kind == "page":
            self._send(200, "<html>a proxy's page</html>")
            return
        self._send(fault.status, {"ok": False, "error": fault.error or "internal_error"}, headers)

    def _send(self, status: int, answer: Json | str, headers: Json | None = None) -> None:
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        told = {"Content-Length": str(len(body)), "X-OAuth-Scopes": self.server.scopes, **(headers or {})}
        for name, value in told.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.server.date or super().date_time_string(timestamp)

    def log_message(self, *arguments: object) -> None:
        del arguments


@contextmanager
def slack_server() -> Iterator[SlackServer]:
    server = SlackServer()
    with in_a_thread(server):
        yield server
