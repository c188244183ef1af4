"""Redshift's Data API on this machine, in front of a PostgreSQL that does what it is asked.

Every statement is read by sqlglot as Redshift's and written as PostgreSQL's. What PostgreSQL has
no word for is left out here, and only here: how tables are distributed and sorted, foreign keys
(Redshift enforces none; primary keys it does not enforce either, and here they are), external
schemas. A COPY's manifest is read and its Parquet files are put into the table by position.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import psycopg2
import psycopg2.extras
import pyarrow.parquet as pq
import sqlglot
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from sqlglot import exp

from tests.support.postgres import Postgres
from tests.support.servers import json_service

WORKGROUP: Final = "lakehouse-test"
PAGE: Final = 4

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it says what it passes on as it is


class KilledError(Exception):
    """The database was ended in the middle of a transaction."""


@dataclass
class Service:
    """A database behind the protocol.

    Attributes:
        batches: The transactions that were asked for, each with its statements.
        before: Called before each statement of a transaction, with its number from 1 and its text.
    """

    server: Postgres
    database: str
    batches: list[list[str]] = field(default_factory=list)
    before: Callable[[int, str], object] = lambda number, sql: None
    url: str = ""
    _begun: dict[str, dict[str, Any]] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """What leads boto3 here."""
        return {
            "AWS_ENDPOINT_URL_REDSHIFT_DATA": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def connect(self) -> Connection:
        """A connection of one's own, to look at what is there."""
        given = self.server.environment
        return psycopg2.connect(
            host=given["DAGSTER_PG_HOST"],
            port=given["DAGSTER_PG_PORT"],
            user=given["DAGSTER_PG_USERNAME"],
            password=given["DAGSTER_PG_PASSWORD"],
            dbname=self.database,
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer to a question in PostgreSQL's words."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return [*cursor.fetchall()]

    def do(self, *statements: str) -> None:
        """Do something that no run does, in PostgreSQL's words."""
        with closing(self.connect()) as connection, connection, connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)

    def handle(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises ValueError for one that is refused."""
        if action in {"ExecuteStatement", "BatchExecuteStatement"}:
            return {"Id": self._begin(body)}
        begun = self._begun[body["Id"]]
        if action == "DescribeStatement":
            with begun["lock"]:
                return {k: v for k, v in begun.items() if k not in {"lock", "answer"}}
        start = int(body.get("NextToken", 0))
        records = [[_field(v) for v in row] for row in begun["answer"][start : start + PAGE]]
        more = {"NextToken": str(start + PAGE)} if start + PAGE < len(begun["answer"]) else {}
        return {"Records": records, **more}

    def _begin(self, body: dict[str, Any]) -> str:
        if body.get("WorkgroupName") != WORKGROUP:
            raise ValueError(f"Workgroup {body.get('WorkgroupName')} is not found.")
        name = str(uuid.uuid4())
        statements = body.get("Sqls") or [body["Sql"]]
        if "Sqls" in body:
            self.batches.append(statements)
        self._begun[name] = {"Id": name, "Status": "STARTED", "lock": threading.Lock()}
        batch = "Sqls" in body
        work = threading.Thread(target=self._run, args=(name, statements, batch), daemon=True)
        work.start()
        work.join(0.05)
        return name

    def _run(self, name: str, statements: Sequence[str], batch: bool) -> None:
        """Do all of it in one transaction; what fails leaves nothing."""
        states: list[dict[str, str]] = [{"Status": "FINISHED"} for _ in statements]
        told: dict[str, Any] = {"Status": "FINISHED"}
        answer: list[tuple[Any, ...]] = []
        number = 0
        try:
            with closing(self.connect()) as connection, connection, connection.cursor() as cursor:
                for number, sql in enumerate(statements, 1):
                    if batch:
                        self.before(number, sql)
                    for done in postgres(sql):
                        done(cursor)
                if cursor.description:
                    answer = cursor.fetchall()
        except (psycopg2.Error, KilledError, OSError, ValueError) as error:
            told = {"Status": "FAILED", "Error": str(error)}
            states[number - 1] = {"Status": "FAILED"}
        if batch:
            told["SubStatements"] = states
        with self._begun[name]["lock"]:
            self._begun[name] |= {**told, "answer": answer}


def postgres(sql: str) -> Iterator[Callable[[Any], None]]:
    """What PostgreSQL is to do for a statement of Redshift's."""
    tree = sqlglot.parse_one(sql, read="redshift")
    if isinstance(tree, exp.Copy):
        place = tree.args["files"][0].name
        table = ".".join(f'"{part.name}"' for part in tree.this.parts)
        yield lambda cursor: _copy(cursor, table, place)
        return
    if isinstance(tree, exp.Command) and sql.startswith("CREATE EXTERNAL SCHEMA"):
        return
    if isinstance(tree, exp.Create):
        tree.set("properties", None)
        for key in [*tree.find_all(exp.ForeignKey)]:
            key.pop()
    text = tree.sql("postgres")
    yield lambda cursor: cursor.execute(text)


def _copy(cursor: Any, table: str, place: str) -> None:
    entries = json.loads(Path(place).read_text())["entries"]
    assert entries, "COPY ends with an error where no files are found"
    for entry in entries:
        file = Path(entry["url"])
        assert entry["mandatory"]
        assert file.stat().st_size == entry["meta"]["content_length"]
        rows = [tuple(row.values()) for row in pq.read_table(file).to_pylist()]
        # A timestamp of Parquet's is UTC, and TIMESTAMP here has no zone.
        plain = [tuple(_without_zone(v) for v in row) for row in rows]
        psycopg2.extras.execute_values(cursor, f"INSERT INTO {table} VALUES %s", plain)


def _without_zone(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _field(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"isNull": True}
        case bool():
            return {"booleanValue": value}
        case int():
            return {"longValue": value}
        case float():
            return {"doubleValue": value}
        case str() | date() | Decimal():
            return {"stringValue": str(value)}
    raise ValueError(f"no field for {value!r}")


@contextmanager
def serving(server: Postgres) -> Iterator[Service]:
    """The service with a new database, on a free port of 127.0.0.1, ended with the block."""
    service = Service(server, f"warehouse_{uuid.uuid4().hex[:8]}")
    admin = Service(server, server.environment["DAGSTER_PG_DB"]).connect()
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {service.database}")
    admin.close()
    with json_service(service.handle, "ResourceNotFoundException") as service.url:
        yield service
