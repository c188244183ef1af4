"""Athena's protocol on this machine, in front of any engine that answers its dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from lakehouse_assets.queries.engine import Answer
from tests.support.servers import json_service

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
        if action == "GetQueryRuntimeStatistics":
            return {"QueryRuntimeStatistics": {"Rows": {"OutputRows": len(asked["answer"][1])}}}
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
    scales = [
        max((-int(v.as_tuple().exponent) for v in column if isinstance(v, Decimal)), default=0)
        for column in zip(*rows, strict=True)
    ] or [0] * len(names)
    table = [names, *rows]
    result = {
        "ResultSetMetadata": {
            "ColumnInfo": [
                {"Name": n, "Type": k, "Precision": 38, "Scale": scale}
                for n, k, scale in zip(names, kinds, scales, strict=True)
            ]
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
    with json_service(service.handle, "InvalidRequestException") as service.url:
        yield service
