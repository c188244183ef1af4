"""Inputs from the field, each with what must come of it: `python -m tests.field DIR`.

DIR holds folders, each a case: some files, and `case.json`, which says where they land and what a
run must make of them (its form: the README beside the cases). A case is played by the command line
on an empty lakehouse of its own; receipts and silver are read through delta-rs, not by the product.
Prints one line for each case; ends with 1 if any of them came out otherwise.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from tests.support import oracle
from tests.support.commands import Ended, Lakehouse
from tests.support.machine import FIELD

_STEP = {"why", "parents", "files", "remove", "withdraw", "reinstate", "run", "expect", "then"}
_PARENTS_DATE = "2025-04-01"


def cases(folder: Path) -> list[Path]:
    """The folders of all cases, by name."""
    return sorted(found.parent for found in folder.glob("*/case.json"))


def play(case: Path, folder: Path) -> list[str]:
    """Play a case in an empty folder; what came out otherwise, nothing if all is right.

    A case whose first step fails is not played on.
    """
    told = json.loads((case / "case.json").read_text())
    player = _Player(case, folder, Lakehouse(folder))
    if told.get("parents"):
        player.land_parents()
    for number, step in enumerate([told, *told.get("then", [])], start=1):
        if faults := player.step(step):
            return [f"step {number}: {fault}" if told.get("then") else fault for fault in faults]
    return []


@dataclass(frozen=True)
class _Player:
    case: Path
    folder: Path
    lakehouse: Lakehouse

    def step(self, step: Mapping[str, Any]) -> list[str]:
        """Lay the files, run, compare."""
        if unknown := step.keys() - _STEP:
            raise ValueError(f"{self.case.name}: a step cannot say {sorted(unknown)}")
        faults = []
        for file in step.get("files", ()):
            faults += self._lay(file)
        for path in step.get("remove", ()):
            (self.raw / path).unlink()
        for command in ("withdraw", "reinstate"):
            for path in step.get(command, ()):
                faults += _traceback_or_failure(self._command(command, path))
        ended = self._command("run", *step.get("run", ()))
        strays = [_target(file) for file in step.get("files", ()) if file.get("by") == "stray"]
        faults += [f"{path} was not passed over" for path in strays if path in self._receipts()]
        expected = step.get("expect", {})
        several = expected if isinstance(expected, list) else [expected]
        ways = [list(self._faults(one, ended)) for one in several]
        return faults + min(ways, key=len)

    @property
    def raw(self) -> Path:
        return self.lakehouse.root / "raw"

    def _command(self, *arguments: str) -> Ended:
        try:
            return self.lakehouse(*arguments)
        except AssertionError as traceback:
            return Ended(-1, "", f"Traceback: {str(traceback).strip().splitlines()[-1]}")

    def _lay(self, file: Mapping[str, str]) -> list[str]:
        """Put a file where it belongs, by the way that the case says."""
        source, target = self.case / file["path"], self.raw / _target(file)
        by = file.get("by", "land")
        if by == "land":
            named = self.folder / "incoming" / file["dataset"] / file["date"] / target.name
            named.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, named)
            where = ("--date", file["date"], "--dataset", file["dataset"])
            return _traceback_or_failure(self._command("land", str(named), *where))
        target.parent.mkdir(parents=True, exist_ok=True)
        if by == "link":
            target.symlink_to(source.resolve())
        else:
            assert by in {"hand", "stray"}, by
            shutil.copyfile(source, target)
        return []

    def land_parents(self) -> None:
        """Products 1 to 100, orders 101 to 200 and one item of each: all that a case may refer to.

        The items' own numbers are far from those of any case.
        """
        stamp = f"{_PARENTS_DATE}T08:00:00"
        rows: dict[str, list[dict[str, Any]]] = {
            "products": [
                {"product_id": n, "department_id": 1, "department": "all", "product_name": f"P{n}"}
                for n in range(1, 101)
            ],
            "orders": [
                {"order_id": n, "user_id": 11, "order_timestamp": stamp, "total_amount": "10.00"}
                for n in range(101, 201)
            ],
            "order_items": [
                {"id": 900_000 + n, "order_id": n, "user_id": 11, "product_id": n - 100,
                 "add_to_cart_order": 1, "reordered": 0, "order_timestamp": stamp}
                for n in range(101, 201)
            ],
        }  # fmt: skip
        for dataset, records in rows.items():
            columns = oracle.COLUMNS[dataset]
            lines = [",".join(columns)]
            lines += [",".join(str(record.get(name, "")) for name in columns) for record in records]
            target = self.raw / dataset / _PARENTS_DATE / "field_parents.csv"
            target.parent.mkdir(parents=True)
            target.write_text("\n".join([*lines, ""]))
        ended = self._command("run")
        assert ended.code == 0, ended

    def _faults(self, expected: Mapping[str, Any], ended: Ended) -> Iterator[str]:
        """What is not as this expectation says."""
        if unknown := expected.keys() - {"fates", "silver", "exit", "says"}:
            raise ValueError(f"{self.case.name}: nothing is known of {sorted(unknown)}")
        receipts = self._receipts()
        for path, fate in expected.get("fates", {}).items():
            found = receipts.get(path)
            wrong = found and {
                name: found[name]
                for name, value in fate.items()
                if (found[name] is not None if name == "error" else found[name]) != value
            }
            if not found:
                yield f"{path} has no receipt"
            elif wrong:
                meant = {name: fate[name] for name in wrong}
                yield f"{path} is {wrong}, not {meant} ({found['error']})"
        for dataset, rows in expected.get("silver", {}).items():
            silver = self._silver(dataset)
            for key, meant in rows.items():
                row = silver.get(key)
                if meant is None:
                    if row is not None:
                        yield f"{dataset} {key} is published: {row}"
                elif row is None:
                    yield f"{dataset} {key} is not published"
                elif other := {n: row.get(n) for n, v in meant.items() if not _same(row.get(n), v)}:
                    yield f"{dataset} {key} has {other}, not {meant}"
        output = f"{ended.out}\n{ended.err}"
        said = _excerpt(output)
        if "exit" in expected and ended.code != expected["exit"]:
            yield f"ended {ended.code}, not {expected['exit']}: {said}"
        for part in expected.get("says", ()):
            regular, _, rest = part.partition("re:")
            if not (re.search(rest, output) if part.startswith("re:") else regular in output):
                yield f"does not say {part!r}: {said}"

    def _receipts(self) -> dict[str, dict[str, Any]]:
        """The newest receipt at each path."""
        rows = self._rows("receipts")
        return {
            f"{row['dataset']}/{row['batch_date']}/{row['file']}": row
            for row in sorted(rows, key=lambda row: row["seq"])
        }

    def _silver(self, dataset: str) -> dict[str, dict[str, Any]]:
        rows = self._rows(f"silver/{dataset}")
        return {",".join(str(row[name]) for name in oracle.KEY[dataset]): row for row in rows}

    def _rows(self, table: str) -> list[dict[str, Any]]:
        folder = self.lakehouse.root / "processed" / table
        if not DeltaTable.is_deltatable(str(folder)):
            return []
        rows: list[dict[str, Any]] = pa.table(DeltaTable(folder).to_pyarrow_table()).to_pylist()
        return rows


def _target(file: Mapping[str, str]) -> str:
    return f"{file['dataset']}/{file['date']}/{file.get('name', file['path'])}"


def _traceback_or_failure(ended: Ended) -> list[str]:
    return [] if ended.code == 0 else [f"ended {ended.code}: {_excerpt(ended.out + ended.err)}"]


def _same(value: object, meant: object) -> bool:
    """Whether a value of silver is what a text means, in the value's own type."""
    if value is None or meant is None:
        return value is meant
    text = str(meant)
    try:
        if isinstance(value, int | Decimal):
            return Decimal(text) == value
        if isinstance(value, datetime):
            told = datetime.fromisoformat(text)
            return (told if told.tzinfo else told.replace(tzinfo=UTC)) == value
    except (InvalidOperation, ValueError):
        return False
    return str(value) == text


def _excerpt(output: str) -> str:
    """The end of what a command said, on one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " ¶ ".join(line for line in lines if line[0] not in "┏┡┃│└├╭╰━┌")[-900:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Play all cases of a folder, one line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FIELD)
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    options = parser.parse_args(arguments)
    found = [case for case in cases(options.folder) if options.case in case.name]
    wrong = 0
    for case in found:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            faults = play(case, Path(folder))
        wrong += bool(faults)
        seconds = time.perf_counter() - started
        print(f"{'FAIL' if faults else 'ok  '} {case.name} ({seconds:.0f} s)", flush=True)
        for fault in faults:
            print(f"       {fault}", flush=True)
    print(f"{len(found) - wrong} of {len(found)} cases came out right")
    return int(bool(wrong) or not found)


if __name__ == "__main__":
    sys.exit(main())
