"""A lakehouse driven by its command line, as a person would."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from deltalake import DeltaTable

from lakehouse_assets.cli import main
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from tests.support import PROJECT

PRODUCTS = "product_id,department_id,department,product_name\n1,1,Books,Atlas\n2,1,Books,Novel\n"
ORDERS = (
    "order_num,order_id,user_id,order_timestamp,total_amount,date\n"
    "1,10,7,2025-04-01T10:00:00,20.00,2025-04-01\n"
    "2,11,8,2025-04-02T10:00:00,5.01,2025-04-02\n"
)
ITEMS = (
    "id,order_id,user_id,days_since_prior_order,product_id,add_to_cart_order,reordered,"
    "order_timestamp,date\n"
    "100,10,7,,1,1,0,2025-04-01T10:00:00,2025-04-01\n"
    "101,10,7,,2,2,1,2025-04-01T10:00:00,2025-04-01\n"
    "102,11,8,3,2,1,0,2025-04-02T10:00:00,2025-04-02\n"
)
GOOD = {"products.csv": PRODUCTS, "orders.csv": ORDERS, "order_items.csv": ITEMS}
"""A small shop's files of one day, without a fault."""


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class _Captured(io.TextIOWrapper):
    """What a command prints, kept; a terminal or none."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def text(self) -> str:
        self.flush()
        self.seek(0)
        return self.read()


class _Typed(io.StringIO):
    """What a person types at a terminal."""

    def isatty(self) -> bool:
        return True


class Lakehouse:
    """A lakehouse in a folder. Every command is a process of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.root = folder / "lakehouse"
        self.root.mkdir(parents=True, exist_ok=True)  # or it would be named, and not be there
        # A Sail session of the testing process leaves its address in SPARK_REMOTE.
        others = ("LAKEHOUSE", "DAGSTER", "SPARK")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
        self.environment = {**kept, "LAKEHOUSE_ROOT": str(self.root), **environment}

    @classmethod
    def copied(cls, folder: Path, to: Path, **environment: str) -> Self:
        """A lakehouse like the one of a folder: a copy, in which everything may happen.

        Its raw files are new to the file system; the same bytes are no news to the lakehouse.
        """
        shutil.copytree(folder, to, dirs_exist_ok=True)
        return cls(to, **environment)

    def __call__(self, *arguments: str) -> Ended:
        """Run ``lakehouse ARGUMENTS``."""
        done = subprocess.run(
            [sys.executable, "-m", "lakehouse_assets.cli", *arguments],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def here(self, *arguments: str, typed: str | None = None, columns: int | None = None) -> Ended:
        """Run ``lakehouse ARGUMENTS`` in this process: quick, and for what needs no engine.

        With ``typed`` standard input is a terminal at which that is typed, with ``columns``
        standard output is one of that width.
        """
        out, err = (_Captured(terminal=columns is not None), _Captured(terminal=False))
        given = _Typed(typed) if typed is not None else io.StringIO()
        environment = self.environment | ({"COLUMNS": str(columns)} if columns else {})
        code = 0
        with (
            patch.dict(os.environ, environment, clear=True),
            patch.object(sys, "argv", ["lakehouse", *arguments]),
            patch.object(sys, "path", [*sys.path]),
            patch.object(sys, "stdin", given),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Ended(code, out.text(), err.text())

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``lakehouse ARGUMENTS`` and let it be; what it prints is lost."""
        return subprocess.Popen(
            [sys.executable, "-m", "lakehouse_assets.cli", *arguments],
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Where the tests run in the background, it would inherit being deaf to Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def ok(self, *arguments: str) -> str:
        """Run a command that must end well; returns what it printed."""
        ended = self(*arguments)
        assert ended.code == 0, f"{arguments}: {ended.code}\n{ended.out}\n{ended.err}"
        return ended.out

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query."""
        ended = self.here("query", sql, "--format", "json")
        assert ended.code == 0, f"{sql}: {ended.code}\n{ended.err}"
        found: list[dict[str, Any]] = json.loads(ended.out)
        return found

    def value(self, sql: str) -> Any:
        """The one value of a query."""
        [[value]] = [list(row.values()) for row in self.rows(sql)]
        return value

    def versions(self) -> dict[str, int]:
        """The newest version of every Delta table of the lake."""
        logs = sorted((self.root / "processed").rglob("_delta_log"))
        names = {str(log.parent.relative_to(self.root)): log.parent for log in logs}
        return {name: DeltaTable(folder).version() for name, folder in names.items()}

    def hashes(self) -> dict[str, str]:
        """A hash of every silver, gold and mart table's content, by the contract's columns."""
        paths = [name.split("/") for name in self.versions()]
        names = [
            ".".join(p[1:]) for p in paths if len(p) == 3 and p[1] in {"silver", "gold", "mart"}
        ]
        found = self.rows(
            " UNION ALL ".join(
                f"SELECT '{name}' AS name, md5(string_agg(h, '' ORDER BY h)) AS h FROM ("
                "SELECT md5(CAST(t AS VARCHAR)) AS h FROM ("
                f"SELECT COLUMNS(c -> c NOT LIKE '\\_%' ESCAPE '\\') FROM {name}) t)"
                for name in sorted(names)
            )
        )
        assert len(found) == len(DATASETS) + len(DERIVED)
        return {row["name"]: row["h"] for row in found}


def put(house: Lakehouse, name: str, content: str | bytes, day: str = "2025-04-15") -> Path:
    """Drop a file into the raw zone by hand."""
    dataset = next(d for d in ("order_items", "orders", "products") if name.startswith(d))
    path = house.root / "raw" / dataset / day / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
