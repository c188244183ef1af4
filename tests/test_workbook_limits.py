"""The process that reads workbooks: whatever is in one, it takes no more than its limits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse_assets.parse import (
    xlsx_reader,
)
from tests.support.parsed import faults, reason, values
from tests.support.workbooks import (
    FAR,
    GOOD,
    HEADER,
    MAIN,
    Sheet,
    cells_of,
    raw_workbook,
    read_book,
    with_strings,
    workbook_of,
)


def test_light_import_and_the_workbook_reader_stays_in_its_own_process() -> None:
    book = workbook_of([("S", [["a"], [1]])])
    code = """if True:
        import sys
        import lakehouse_assets.parse as it
        heavy = {"dagster", "pyspark", "pandas", "pyarrow", "numpy"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        reading = it.parse("b.xlsx", sys.stdin.buffer, it.Expected(["a"]))
        assert sum(batch.num_rows for batch in reading) == reading.summary.read == 1
        assert not {"dagster", "pyspark", "lakehouse_assets.parse.xlsx_worker"} & set(sys.modules)
    """
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], input=book, cwd=root, check=True)


def test_a_cell_far_away_costs_no_more_than_another() -> None:
    data = raw_workbook(cells_of("><v>1</v>") + FAR.format("><v>1</v>"))
    parsed = read_book(data)
    assert values(parsed) == [(2, "1", None)]
    [(row, fault, raw)] = faults(parsed)
    assert (row, fault, len(json.loads(raw))) == (1_048_576, "ragged", 16_384)
    assert "max_cells (16,000)" in reason(data, name="f.xlsx", max_cells=16_000)


@pytest.mark.parametrize("far", [' s="1">', ">", 's="1"><!-- nothing -->'])
def test_a_cell_with_a_format_only_is_no_row(far: str) -> None:
    data = raw_workbook(cells_of("><v>1</v>") + FAR.format(far))
    assert values(read_book(data, max_cells=100)) == [(2, "1", None)]


@pytest.mark.parametrize("declared", ["A1", "A1:XFD1048576"])
def test_the_declared_dimension_does_not_matter(declared: str) -> None:
    sheet = (
        f'<?xml version="1.0"?><worksheet xmlns="{MAIN}"><dimension ref="{declared}"/>'
        f"<sheetData>{cells_of('><v>1</v>', '><v>2</v>')}</sheetData></worksheet>"
    )
    assert values(read_book(raw_workbook(sheet))) == [(2, "1", None), (3, "2", None)]


def test_max_cells_counts_all_sheets() -> None:
    sheets: list[Sheet] = [(f"S{n}", [["a", "b"], [n, n]]) for n in range(3)]
    data = workbook_of(sheets)
    assert read_book(data, max_cells=12).sheet_problems == ()
    assert [it.sheet for it in read_book(data, max_cells=11).sheet_problems] == ["S2"]


def test_workbook_limits_name_their_setting() -> None:
    data = raw_workbook(cells_of(*["><v>1</v>"] * 2_000))
    line = reason(data, name="f.xlsx", max_expanded_bytes=50_000)
    assert "more than max_expanded_bytes (50,000) allows" in line
    assert line.endswith("raise max_expanded_bytes")
    wide = workbook_of([("S", [[f"c{n}" for n in range(9)] + ["a"], [1] * 10])])
    assert "more columns than max_columns (9)" in reason(wide, "a", "f.xlsx", max_columns=9)
    assert read_book(wide, "a", max_columns=10).rows.num_rows == 1


def test_one_long_text_in_many_cells_is_limited() -> None:
    text = "x" * 30_000
    data = workbook_of([("S", [["a"], *[[text]] * 200])])  # 6 MB as text, once in the file
    assert "cells hold more text than max_expanded_bytes" in reason(
        data, "a", "f.xlsx", max_expanded_bytes=2_000_000
    )
    assert read_book(data, "a").rows["a"].to_pylist() == [text] * 200


@pytest.mark.parametrize(
    "data",
    [
        lambda: with_strings(GOOD, "".join(f"<si><t>text {n}</t></si>" for n in range(600_000))),
        lambda: raw_workbook(HEADER + '<row r="2"><c t="str"><v>' + "y" * 90_000_000),
    ],
)
def test_memory_limit(data: Callable[[], bytes]) -> None:
    line = reason(data(), name="f.xlsx", workbook_memory_bytes=60 * 2**20)
    assert "workbook_memory_bytes (62,914,560)" in line
    assert line.endswith("raise workbook_memory_bytes")


_PEAKS = """if True:
    import resource, sys
    from lakehouse_assets.parse import Expected, Unreadable, parse
    try:
        rows = sum(batch.num_rows for batch in parse("f.xlsx", sys.stdin.buffer, Expected("ab")))
    except Unreadable as problem:
        rows = problem
    own = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    reader = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(int(own.split()[1]), reader, rows)
"""


def many(number: int, row: str) -> str:
    return "".join(f'<row r="{n}">{row}</row>' for n in range(2, number + 2))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (
            lambda: with_strings(
                raw_workbook(HEADER + many(8_000, '<c t="s"><v>0</v></c>')),
                f"<si><t>{'x' * 32_767}</t></si>",
            ),
            "8000",
        ),
        (
            lambda: with_strings(
                raw_workbook(HEADER + "<row>" + '<c t="s"><v>0</v></c>' * 16_000 + "</row>"),
                f"<si><t>{'x' * 1_000_000}</t></si>",
            ),
            "row 2 holds more text than max_record_bytes",
        ),
        (
            lambda: raw_workbook(HEADER + many(50, '<c t="str"/>' * 16_383 + "<c><v>1</v></c>")),
            "50",
        ),
        (lambda: raw_workbook(f'{HEADER}<row x="{"y" * 300_000_000}"/>'), "a tag or comment of"),
    ],
    ids=["one text often", "a row of long texts", "wide rows", "an attribute"],
)
def test_both_processes_stay_within_a_gigabyte(data: Callable[[], bytes], outcome: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PEAKS],
        input=data(),
        capture_output=True,
        cwd=Path(__file__).parents[1],
        check=True,
    )
    own, reader, told = done.stdout.decode().split(" ", 2)
    assert (int(own) + int(reader)) * 1024 < 2**30
    assert outcome in told


def test_time_limit() -> None:
    line = reason(GOOD, name="f.xlsx", workbook_seconds=0.001)
    assert line.endswith("raise workbook_seconds")


def test_a_broken_installation_is_no_verdict_on_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_reader, "_START", "import not_installed")
    with pytest.raises(ImportError, match="not_installed"):
        read_book(GOOD)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise KeyError('oops')", "its reader failed (KeyError: 'oops')"),
        ("import os; os.kill(os.getpid(), 9)", "its reader was ended by signal 9"),
        ("import os; os.kill(os.getpid(), 24)", "took longer than workbook_seconds (600) allows"),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals by their number")
def test_a_reader_that_ends_early_gives_a_line(
    code: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx_reader, "_START", code)
    assert words in reason(GOOD, name="f.xlsx")


def test_the_reader_finds_what_this_process_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the project is only in the current folder."""
    root = str(Path(__file__).parents[1])
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", ["", *(it for it in sys.path if it not in ("", root))])
    assert values(read_book(GOOD)) == [(2, "1", None)]
