"""Does the gate see anything? `python -m tests.torture.control` breaks a copy to find out.

Each mutant is a small edit of the product that takes one protection away. Of every one the tests
named beside it must fail; a mutant that none of them finds fails this program. The unchanged copy
must pass all of them first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.support import PROJECT

_COPIED = (
    "lakehouse_assets",
    "resources",
    "data",
    "deploy",
    "tests",
    "definitions.py",
    "pyproject.toml",
)
HISTORIES = "tests/test_against_oracle.py"


@dataclass(frozen=True)
class Mutant:
    """One protection taken away: in a module, this text becomes that; found by these tests."""

    protection: str
    module: str
    before: str
    after: str
    tests: str = HISTORIES


MUTANTS = (
    Mutant(
        "audit before commit: a grain that repeats",
        "lakehouse_assets/pipeline/publish.py",
        'if totals["_most"] > 1:',
        "if False:",
        "tests/test_publish.py",
    ),
    Mutant(
        "audit before commit: null in a required column",
        "lakehouse_assets/pipeline/publish.py",
        "    if missing:\n        listed",
        "    if False:\n        listed",
        "tests/test_publish.py",
    ),
    Mutant(
        "exact partitions: both the old and the new place of a moved row",
        "lakehouse_assets/pipeline/publish.py",
        '.where("`sum(_removed)` + `sum(_added)` > 0")',
        '.where("`sum(_added)` > 0")',
    ),
    Mutant(
        "exact look-up: rows of the affected keys only are replaced",
        "lakehouse_assets/pipeline/publish.py",
        "commit(work, table, others.unionByName(rows), where)",
        "commit(work, table, rows, where)",
    ),
    Mutant(
        "silver takes in no more of bronze than the ledger tells of",
        "lakehouse_assets/planning/staleness.py",
        "replace(now, version=min(version, now.version))",
        "now",
    ),
    Mutant(
        "version order: batch date before file name",
        "lakehouse_assets/pipeline/resolve.py",
        'VERSION_ORDER = ("_batch_date", "_file", "_sheet_no", "_row")',
        'VERSION_ORDER = ("_file", "_batch_date", "_sheet_no", "_row")',
    ),
    Mutant(
        "version order: numbers in names by their value",
        "lakehouse_assets/tables/natural_order.py",
        "lpad(CAST(length({digits}) AS STRING), 4, '0'), ",
        "",
        "tests/test_natural_order.py",
    ),
    Mutant(
        "keys of several columns: no two read the same",
        "lakehouse_assets/pipeline/resolve.py",
        "replace(replace({part}, '%', '%25'), '|', '%7C')",
        "{part}",
        "tests/second_shop/test_second_shop.py",
    ),
    Mutant(
        "version order: the newest qualifying row wins, not the newest",
        "lakehouse_assets/pipeline/resolve.py",
        'qualifies = "size(_rules) = 0 AND NOT _retired"',
        'qualifies = "NOT _retired"',
    ),
    Mutant(
        "repairs: a repair takes its origin's place",
        "lakehouse_assets/pipeline/resolve.py",
        '            **{root: f"coalesce(`{root}`, `{own}`)" for root, own in _OWN.items()},',
        "            **_OWN,",
    ),
    Mutant(
        "repairs: a repaired row is retired, whatever its key",
        "lakehouse_assets/pipeline/resolve.py",
        'family.where("_nth > _newest")',
        'family.where("false")',
    ),
    Mutant(
        "repairs: families are resolved together",
        "lakehouse_assets/pipeline/silver_affected.py",
        "        subjects = _with_families(work, dataset, work.stage(subjects), both, repairing)",
        "        pass",
    ),
    Mutant(
        "versions that were hidden come back: other uploads of a key are looked up",
        "lakehouse_assets/pipeline/silver_affected.py",
        "    elsewhere = _uploads_of(work, dataset, subjects, keys)",
        "    elsewhere: dict[str, date] = {}",
    ),
    Mutant(
        "parents' return: rejected rows are judged again when a parent comes",
        "lakehouse_assets/pipeline/silver_affected.py",
        "        moved = [keys for keys in (came, left) if keys.count]",
        "        moved = [keys for keys in (left,) if keys.count]",
    ),
    Mutant(
        "parents' loss: children go back to quarantine",
        "lakehouse_assets/pipeline/silver_affected.py",
        "        if left.count:",
        "        if False:",
    ),
    Mutant(
        "dead runs: a version that differs from the record means: resolve everything",
        "lakehouse_assets/pipeline/silver.py",
        "before.written == written and",
        "before.written and written and",
    ),
    Mutant(
        "dead runs: rows of bronze before facts",
        "lakehouse_assets/pipeline/bronze.py",
        "    _commit_rows(work, dataset, dates, staged, change)\n"
        "    _record_facts(work, ledger, dataset, facts)\n",
        "    _record_facts(work, ledger, dataset, facts)\n"
        "    _commit_rows(work, dataset, dates, staged, change)\n",
    ),
    Mutant(
        "holding: faulty rows are counted",
        "lakehouse_assets/pipeline/bronze_judging.py",
        "faulty > Fraction(str(limit.share)) * summary.read",
        "faulty > summary.read",
    ),
    Mutant(
        "admission is a recorded decision",
        "lakehouse_assets/pipeline/bronze_judging.py",
        "        if digest in past.admitted:",
        "        if False:",
        "tests/test_new_column.py",
    ),
    Mutant(
        "what was admitted may be without the columns that came later",
        "lakehouse_assets/pipeline/bronze_reading.py",
        "    return [header for header in dataset.headers if header not in judged.headers]",
        "    return []",
        "tests/test_new_column.py",
    ),
    Mutant(
        "a withdrawal covers what landed before it, and no more",
        "lakehouse_assets/store/file_state.py",
        "return [f for f in self.landings if f.seq > since]",
        "return self.landings if not since else []",
    ),
    Mutant(
        "a held upload over a good file leaves the good one in force",
        "lakehouse_assets/store/file_state.py",
        "known = [f for f in self.open if f.digest in self.admitted and self._is_read(f)]",
        "known = [f for f in self.open[-1:] if f.digest in self.admitted and self._is_read(f)]",
    ),
    Mutant(
        "landed bytes that no run has read are kept aside",
        "lakehouse_assets/operations/land.py",
        "    if past.unjudged:",
        "    if False:",
    ),
    Mutant(
        "the ledger is updated: what a table has absorbed is recorded",
        "lakehouse_assets/pipeline/derived.py",
        "    ledger.append([Fact(done, run_id=work.run_id)])\n",
        "",
    ),
    Mutant(
        "gold: both the old and the new unit of a moved row",
        "lakehouse_assets/pipeline/table_changes.py",
        "return self.removed.unionByName(self.added)",
        "return self.added",
    ),
    Mutant(
        "gold: a changed product reaches the days on which it was sold",
        "lakehouse_assets/pipeline/derived_units.py",
        "rows = matching(frames[there], [child_column], values)",
        'rows = frames[there].where("false")',
    ),
    Mutant(
        "gold: grains that nothing feeds any more disappear",
        "lakehouse_assets/pipeline/keys.py",
        "    return matching(present, columns, keys), without(",
        "    return none(present), present; without(",
    ),
    Mutant(
        "a table's own rows are compared unless its log shows that there are none",
        "lakehouse_assets/store/delta.py",
        "        return bool(pc.any(may).as_py())",
        "        return False",
    ),
    Mutant(
        "ends of keys: of all files of a stage",
        "lakehouse_assets/pipeline/keys.py",
        "found[name] += [says.min, says.max]",
        "found[name] = [says.min, says.max]",
        "tests/test_keys.py",
    ),
    Mutant(
        "history: what a good repair has retired is no version",
        "lakehouse_assets/pipeline/history.py",
        'resolved.where("size(_rules) = 0 AND NOT _retired")',
        'resolved.where("size(_rules) = 0")',
        "tests/test_marts.py",
    ),
    Mutant(
        "marts: a fact that misses its dimension is said",
        "lakehouse_assets/pipeline/derived.py",
        "passed=not some or behind",
        "passed=True",
        "tests/test_marts.py",
    ),
    Mutant(
        "rules have a version: a change judges every row anew",
        "lakehouse_assets/planning/staleness.py",
        "    if absorbed.rules != job.rules:",
        "    if False:",
    ),
    Mutant(
        "settled files: bytes touched since are looked at",
        "lakehouse_assets/planning/settled_files.py",
        "l.readable AND l.stamp = p.stamp",
        "l.readable",
        "tests/test_settled_files.py",
    ),
    Mutant(
        "restore: what the tables had absorbed goes back with them",
        "lakehouse_assets/operations/restore.py",
        "    ledger.append([*moved(then.absorbed.values(), moves, run_id), done])",
        "    ledger.append([done])",
    ),
    Mutant(
        "restore: nothing is taken in while it stands",
        "lakehouse_assets/store/ledger.py",
        "            frozen=True,",
        "            frozen=False,",
    ),
    Mutant(
        "maintenance: a new version is no change",
        "lakehouse_assets/operations/maintenance.py",
        "            yield from moved(concerned, moves, run_id)",
        "            yield from ()",
    ),
    Mutant(
        "receipts: every fate is counted in its own table",
        "lakehouse_assets/pipeline/silver_receipts.py",
        "CASE WHEN _duplicate THEN",
        "CASE WHEN NOT _duplicate THEN",
    ),
    Mutant(
        "parser: a record with too few or too many fields is no row",
        "lakehouse_assets/parse/csv_reader.py",
        "                invalid_row_handler=ragged,",
        "                invalid_row_handler=lambda row: 'skip',",
        "tests/test_badinput.py tests/test_parse.py",
    ),
    Mutant(
        "parser: a quote opens a field only where the field begins",
        "lakehouse_assets/parse/csv_records.py",
        "        opens = _among(before, _LF, comma, _QUOTE)",
        "        opens = np.ones(len(quote), np.bool_)",
        "tests/test_badinput.py tests/test_parse.py",
    ),
    Mutant(
        "parser: a sheet's error is no empty cell",
        "lakehouse_assets/parse/xlsx_cells.py",
        '            return NoValue(value.strip() or "#ERROR")',
        '            return ""',
        "tests/test_workbook_cells.py",
    ),
    Mutant(
        "parser: a cell that is there twice makes its sheet unreadable",
        "lakehouse_assets/parse/xlsx_sheet.py",
        "        elif row[at] is None:",
        "        elif row:",
        "tests/test_workbook_cells.py",
    ),
    Mutant(
        "export: no cell runs as a formula",
        "lakehouse_assets/operations/export_rejected.py",
        '    return f"\'{text}" if risky else text',
        "    return text",
        "tests/test_file_decisions.py",
    ),
    Mutant(
        "one writer: two processes do not write a table at once",
        "resources/locks.py",
        "                lock.acquire(timeout=0)\n",
        "                pass\n",
        "tests/test_meeting_runs.py",
    ),
    Mutant(
        "the ledger's order is total: an append lands on what was read, once",
        "lakehouse_assets/store/delta.py",
        "max_commit_retries=0",
        "max_commit_retries=9",
        "tests/test_meeting_runs.py",
    ),
)


def main() -> None:
    """Try the unchanged copy, then each mutant; print who was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="mutants whose protection contains this")
    options = parser.parse_args()
    chosen = [m for m in MUTANTS if options.only in m.protection]
    suites = sorted({m.tests for m in chosen})
    with ThreadPoolExecutor(options.workers) as pool:
        for suite, (failed, told, _) in zip(suites, pool.map(_unchanged, suites), strict=True):
            if failed:
                sys.exit(f"the unchanged product fails {suite}:\n{told}")
        found = list(pool.map(_tried, chosen))
    table = Table("protection taken away", "found", "seconds", "by", title="control")
    for mutant, (failed, told, seconds) in zip(chosen, found, strict=True):
        by = next((t for t in told.splitlines() if t.startswith(("FAILED", "ERROR"))), "")
        by = by.split("::")[-1].split(" - ")[0]
        table.add_row(mutant.protection, "yes" if failed else "NO", f"{seconds:.0f}", by[:50])
    Console(width=150).print(table)
    missed = sum(not failed for failed, *_ in found)
    print(f"{len(chosen) - missed} of {len(chosen)} mutants found")
    sys.exit(bool(missed))


def _unchanged(suite: str) -> tuple[bool, str, float]:
    return _tested(suite, lambda _: None)


def _tried(mutant: Mutant) -> tuple[bool, str, float]:
    def mutate(copy: Path) -> None:
        module = copy / mutant.module
        text = module.read_text()
        if text.count(mutant.before) != 1:
            sys.exit(f"{mutant.protection}: its text stands {text.count(mutant.before)} times")
        module.write_text(text.replace(mutant.before, mutant.after))

    failed, told, seconds = _tested(mutant.tests, mutate)
    print("found" if failed else "MISSED", f"({seconds:.0f} s)", mutant.protection, file=sys.stderr)
    return failed, told, seconds


def _tested(suite: str, mutate: Callable[[Path], object]) -> tuple[bool, str, float]:
    """Whether the suite fails in a mutated copy, what it printed, and how long it took."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in _COPIED:
            source = PROJECT / name
            ignored = shutil.ignore_patterns("__pycache__")
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=ignored)
            else:
                shutil.copy2(source, copy / name)
        mutate(copy)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                *suite.split(),
                "-x",
                "-q",
                "-m",
                "not long",
                "-p",
                "no:randomly",
            ],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    told = done.stdout[-3000:] + done.stderr[-500:]
    return done.returncode not in (0, 5), told, time.perf_counter() - started


if __name__ == "__main__":
    main()
