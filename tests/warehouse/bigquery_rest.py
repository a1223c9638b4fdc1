"""The few REST calls of BigQuery that the adapter makes, answered over HTTP: Google's own client is on the other side.

It keeps what it was asked and says what a test planned, else that all went well. It has no tables and runs no SQL: that
is the emulator's part (`bigquery_stand_in`).
"""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from served import in_a_thread

PROJECT = "analytics"
Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Asked:
    """One request: for an upload the job that it is for, and its bytes."""

    method: str
    path: str
    body: dict[str, Any]
    content: bytes = b""


@dataclass
class Planned:
    """An answer for the next request that fits; `is_lost` says that the request was carried out all the same."""

    method: str
    path: str
    answer: Answer
    is_lost: bool = False


@dataclass
class Rest:
    """What was asked, what is planned, and the jobs that there are."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)
    failing: list[dict[str, str]] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """For the client's `api_endpoint`."""
        return f"http://127.0.0.1:{self.port}"

    def plan(self, method: str, path: str, status: int, reason: str, message: str, *, is_lost: bool = False) -> None:
        """Answer the next request whose path fits a pattern with an error."""
        said = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
        self.planned.append(Planned(method, path, (status, {"error": said}), is_lost))

    def fail_next_job(self, reason: str, message: str) -> None:
        """Take the next job, and say of it that it failed."""
        self.failing.append({"reason": reason, "message": message})

    def those(self, method: str, path: str) -> list[Asked]:
        """The requests that were made of a kind, in their order."""
        return [each for each in self.asked if each.method == method and re.search(path, each.path)]

    def loads(self) -> list[Asked]:
        """Uploads of loads."""
        return self.those("POST", "^/upload/")

    def queries(self) -> list[dict[str, Any]]:
        """Configurations of query jobs."""
        return [each.body["configuration"] for each in self.those("POST", r"^/bigquery/.*/jobs$")]

    def answer(self, asked: Asked) -> Answer:
        """Carry a request out as far as there is something to do."""
        self.asked.append(asked)
        plan = next((p for p in self.planned if p.method == asked.method and re.search(p.path, asked.path)), None)
        if plan is not None:
            self.planned.remove(plan)
            if plan.is_lost:
                self._carried_out(asked)
            return plan.answer
        return self._carried_out(asked)

    def _carried_out(self, asked: Asked) -> Answer:
        if asked.method == "DELETE":
            return 204, {}
        if asked.path.endswith("/jobs"):
            return self._job(asked)
        if found := re.search(r"/jobs/([^/]+)$", asked.path):
            return 200, self.jobs[found[1]]
        if re.search(r"/queries/[^/]+$", asked.path):
            return self._results(asked.path.rpartition("/")[2])
        return 200, asked.body

    def _job(self, asked: Asked) -> Answer:
        reference = {**asked.body["jobReference"], "location": "EU"}
        name = reference["jobId"]
        if name in self.jobs:
            message = f"Already Exists: Job {PROJECT}:EU.{name}"
            return 409, {"error": {"code": 409, "message": message, "errors": [{"reason": "duplicate"}]}}
        error = self.failing.pop(0) if self.failing else None
        self.jobs[name] = {
            "id": f"{PROJECT}:EU.{name}",
            "jobReference": reference,
            "configuration": asked.body["configuration"],
            "status": {"state": "DONE", **({"errorResult": error, "errors": [error]} if error else {})},
            "statistics": {
                "load": {"outputRows": "2"},
                "query": {"statementType": "SELECT", "numDmlAffectedRows": "2"},
            },
        }
        return 200, self.jobs[name]

    def _results(self, name: str) -> Answer:
        job = self.jobs[name]
        if error := job["status"].get("errorResult"):
            return 400, {"error": {"code": 400, "message": error["message"], "errors": [error]}}
        schema = {"fields": [{"name": "n", "type": "INTEGER"}]}
        rows = [{"f": [{"v": "7"}]}]
        return 200, {
            "jobReference": job["jobReference"],
            "jobComplete": True,
            "schema": schema,
            "rows": rows,
            "totalRows": "1",
        }


@contextmanager
def rest_api() -> Iterator[Rest]:
    """A server of one's own."""
    rest = Rest()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, said = rest.answer(_asked(self.command, self.path, self.headers.get("Content-Type", ""), content))
            told = b"" if status == 204 else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def log_message(self, *arguments: object) -> None:
            del arguments

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    rest.port = server.server_address[1]
    with in_a_thread(server):
        yield rest


def _asked(method: str, path: str, kind: str, content: bytes) -> Asked:
    where = path.partition("?")[0]
    if not kind.startswith("multipart/"):
        return Asked(method, where, json.loads(content) if content else {})
    whole = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + content, policy=email.policy.HTTP)
    job, file = (part.get_payload(decode=True) for part in whole.iter_parts())
    return Asked(method, where, json.loads(job), file)
