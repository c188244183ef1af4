"""Athena's protocol on this machine, in front of any engine that answers its dialect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lakehouse_assets.ports import Answer
from tests.support.servers import at_work

WORKGROUP = "analysts"
PAGE = 3
_TYPES = {bool: "boolean", int: "bigint", Decimal: "decimal", date: "date", float: "double"}


@dataclass
class Service:
    """What answers, and what has been asked of it."""

    answer: Callable[[str, Sequence[str]], Answer]
    asked: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    never_ends: bool = False
    url: str = ""

    def environment(self) -> dict[str, str]:
        """What leads ``lakehouse query`` here."""
        return {
            "AWS_ENDPOINT_URL_ATHENA": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "LAKEHOUSE_QUERY_ENGINE": "athena",
            "LAKEHOUSE_ATHENA_WORKGROUP": WORKGROUP,
            "LAKEHOUSE_ATHENA_OUTPUT": "s3://lake/athena_queries/",
        }

    def handle(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises ValueError for one that is refused."""
        if action == "StartQueryExecution":
            if body["WorkGroup"] != WORKGROUP:
                raise ValueError(f"WorkGroup {body['WorkGroup']} is not found.")
            self.asked.append(body)
            return {"QueryExecutionId": str(len(self.asked) - 1)}
        if action == "StopQueryExecution":
            self.stopped.append(body["QueryExecutionId"])
            return {}
        asked = self.asked[int(body["QueryExecutionId"])]
        if action == "GetQueryExecution":
            return {"QueryExecution": {"Status": self._state(asked)}}
        return _page(asked["answer"], int(body.get("NextToken", 0)))

    def _state(self, asked: dict[str, Any]) -> dict[str, str]:
        if self.never_ends or "seen" not in asked:
            asked["seen"] = True
            return {"State": "RUNNING"}
        try:
            parameters = [p.strip("'") for p in asked.get("ExecutionParameters", ())]
            asked["answer"] = self.answer(asked["QueryString"], parameters)
        except Exception as error:  # noqa: BLE001 - whatever it is is the reason that is given
            return {"State": "FAILED", "StateChangeReason": str(error)}
        return {"State": "SUCCEEDED"}


def _page(answer: Answer, start: int) -> dict[str, Any]:
    names, rows = answer
    kinds = [
        next((_TYPES.get(type(v), "varchar") for v in column if v is not None), "varchar")
        for column in zip(*rows, strict=True)
    ] or ["varchar"] * len(names)
    table = [names, *rows]
    result = {
        "ResultSetMetadata": {
            "ColumnInfo": [{"Name": n, "Type": k} for n, k in zip(names, kinds, strict=True)]
        },
        "Rows": [{"Data": [_cell(v) for v in row]} for row in table[start : start + PAGE]],
    }
    more = {"NextToken": str(start + PAGE)} if start + PAGE < len(table) else {}
    return {"ResultSet": result, **more}


def _cell(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    return {"VarCharValue": str(value).lower() if isinstance(value, bool) else str(value)}


@contextmanager
def serving(answer: Callable[[str, Sequence[str]], Answer]) -> Iterator[Service]:
    """The service on a free port of 127.0.0.1, ended with the block."""
    service = Service(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                code, told = 200, service.handle(self.headers["X-Amz-Target"].split(".")[1], body)
            except ValueError as error:
                code, told = 400, {"__type": "InvalidRequestException", "Message": str(error)}
            data = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """A request is no news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with at_work(server) as service.url:
        yield service
