"""A local server that answers as Entra ID and Power BI do, from a script, and remembers what it was asked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from served import in_a_thread

from analytics_platform.settings import Settings

WORKSPACE = "11111111-1111-1111-1111-111111111111"
DATASET = "22222222-2222-2222-2222-222222222222"
TENANT = "33333333-3333-3333-3333-333333333333"
CLIENT = "44444444-4444-4444-4444-444444444444"
SECRET = "s3cr&t+with=all%of it"
TOKEN = "eyJ-a-token-that-nobody-may-see"


@dataclass
class Reply:
    """An answer; `delay` seconds late."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class Asked:
    """A request."""

    method: str
    path: str
    token: str
    form: Mapping[str, list[str]]
    at: float


@dataclass
class Service:
    """Answers by what is asked: the first of each list, and the last of it from then on."""

    tokens: list[Reply] = field(default_factory=lambda: [Reply(body=json.dumps({"access_token": TOKEN}).encode())])
    triggers: list[Reply] = field(default_factory=lambda: [Reply(202, b"", {"x-ms-request-id": "ours"})])
    histories: list[Reply] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def reply(self, asked: Asked) -> Reply:
        """The next answer."""
        self.asked.append(asked)
        of_power_bi = self.triggers if asked.method == "POST" else self.histories
        replies = self.tokens if "oauth2" in asked.path else of_power_bi
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def count(self, method: str, part: str) -> int:
        """How many requests of a method whose path has a part."""
        return sum(each.method == method and part in each.path for each in self.asked)


def history(*entries: tuple[str, str], code: str | None = None) -> Reply:
    """A refresh history, newest first: ids and statuses."""
    value = [
        {"requestId": name, "status": status, "startTime": "2026-11-27T05:00:00Z", "endTime": "2026-11-27T05:03:00Z"}
        | (
            {"serviceExceptionJson": json.dumps({"errorCode": code, "errorDescription": "Jansen owes 12"})}
            if code
            else {}
        )
        for name, status in entries
    ]
    return Reply(body=json.dumps({"value": value}).encode())


BEFORE = history(("old", "Completed"))
RUNNING = history(("ours", "Unknown"), ("old", "Completed"))
DONE = history(("ours", "Completed"))


def settings_of(service: Service, **more: object) -> Settings:
    return Settings.model_validate(
        {
            "power_bi_workspace_id": WORKSPACE,
            "power_bi_dataset_id": DATASET,
            "power_bi_tenant_id": TENANT,
            "power_bi_client_id": CLIENT,
            "power_bi_client_secret": SECRET,
            "power_bi_api_url": service.url,
            "power_bi_login_url": service.url,
            **more,
        }
    )


@contextmanager
def served(service: Service) -> Iterator[Service]:
    """The service at a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = parse_qs(self.rfile.read(length).decode())
            path = urlsplit(self.path).path
            asked = Asked(self.command, path, self.headers.get("Authorization", ""), form, time.monotonic())
            reply = service.reply(asked)
            time.sleep(reply.delay)
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
            except ConnectionError:
                pass  # whoever asked has given up, which is what a late answer is for

        do_GET = do_POST = _answer  # noqa: N815  the names are the library's

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    with in_a_thread(server):
        yield service
