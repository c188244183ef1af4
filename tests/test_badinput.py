"""A few bad files of every kind; `python -m tests.torture.bad_inputs` makes thousands."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import pyarrow as pa
import pytest

from lakehouse_assets.parse import SheetProblem, Summary, Unreadable, schema
from tests.support import badinput, oracle
from tests.support.parsed import Parsed
from tests.torture import bad_inputs

SEED = 2025
KINDS = pytest.mark.parametrize("name", badinput.KINDS.keys() - badinput.GREEDY.keys())


@KINDS
def test_a_bad_file_gives_what_was_meant_or_one_clear_line(name: str) -> None:
    for number in range(5 if name.startswith("workbook") else 80):
        verdict = badinput.judge(badinput.case(name, SEED, number))
        assert verdict.broken == (), f"case({name!r}, {SEED}, {number})"


@KINDS
def test_the_oracle_reads_what_was_meant(name: str) -> None:
    for number in range(40):
        it = badinput.case(name, SEED, number)
        if it.oracle:
            assert badinput.oracle_faults(it) == [], f"case({name!r}, {SEED}, {number})"


@KINDS
def test_a_seed_makes_the_same_input_again(name: str) -> None:
    first, again = (badinput.case(name, SEED, 3) for _ in range(2))
    assert first == again


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("number", [0, 2, 6, 7, 11])
def test_attacks_stay_within_their_memory(number: int) -> None:
    assert badinput.memory_faults("workbook: bombs", SEED, number)[1] == []


GOOD = badinput.csv_case(it := badinput.Table("products", [*oracle.COLUMNS["products"]], [
    ["1", "2", "dairy", "Milk"], ["3", "4", "", "=1+1"],
]), badinput.lines(it))  # fmt: skip


Row = tuple[int, list[str | None], str | None]
"""Row, cells, raw."""


def _rows(*rows: Row) -> Parsed:
    """These rows as the parser would give them."""
    names = oracle.COLUMNS["products"]
    told = [
        {**dict(zip(names, cells, strict=True)), "_sheet_no": 0, "_row": row, "_raw": raw}
        for row, cells, raw in rows
    ]
    return Parsed(pa.Table.from_pylist(told, schema(list(names))), Summary(len(told)))


FIRST: Row = (2, ["1", "2", "dairy", "Milk"], None)
SECOND: Row = (3, ["3", "4", None, "=1+1"], None)
NOTHING: list[str | None] = [None] * 4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_rows(FIRST, (3, ["3", "4", None, "1+1"], None)), "other values at (0, 3)"),
        (_rows(FIRST, (3, ["4", "3", None, "=1+1"], None)), "other values at (0, 3)"),
        (_rows(FIRST, (3, ["3", "4", "", "=1+1"], None)), "other values at (0, 3)"),
        (_rows(FIRST, (4, *SECOND[1:])), "a row at (0, 4) that was never meant"),
        (_rows(FIRST), "rows lost at [(0, 3)]"),
        (_rows(FIRST, FIRST, SECOND), "two rows at (0, 2)"),
        (_rows(FIRST, (3, NOTHING, "3,4,,=1+1")), "rows refused at [(0, 3)]"),
        (
            Parsed(_rows(FIRST, SECOND).rows, Summary(2, (), (SheetProblem("S", "bad"),))),
            "not '<what is wrong>",
        ),
        (Unreadable("bad; try again"), "refused, though nothing is wrong"),
        (Unreadable("bad"), "not '<what is wrong>"),
        (Unreadable("bad\n; try again"), "not one plain line"),
        (Unreadable("bad \x1b[31m; try again"), "not one plain line"),
        (Unreadable("bad; " + "x" * 1_000), "a line of 1005 characters"),
        (ValueError("what?"), "raised ValueError: what?"),
    ],
)
def test_every_invariant_can_fail(
    answer: Parsed | Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(*_: object) -> Parsed:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(badinput, "parse_whole", parse)
    broken = badinput.judge(replace(GOOD, must="rows")).broken
    assert any(fault.startswith(words) for fault in broken), broken


def test_the_oracle_alone_sees_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = replace(GOOD, truth=None)
    assert badinput.judge(unknown).broken == ()
    monkeypatch.setattr(badinput, "parse_whole", lambda *_: _rows(FIRST))
    assert badinput.judge(unknown).broken == ("1 records are not accounted for: [(0, 3)]",)


@pytest.mark.parametrize("count", [40, 100])
def test_as_many_are_judged_as_asked(
    count: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the most memory that one took is told."""
    kinds = {name: it for name, it in badinput.KINDS.items() if not name.startswith("workbook")}
    verdict = badinput.Verdict(1, None, (), 300 * 2**20)
    monkeypatch.setattr(badinput, "KINDS", kinds)
    monkeypatch.setattr(badinput, "GREEDY", {})
    monkeypatch.setattr(badinput, "judge", lambda _: verdict)
    monkeypatch.setattr("sys.argv", ["bad_inputs", "--count", str(count)])
    with pytest.raises(SystemExit) as ended:
        bad_inputs.main()
    assert not ended.value.code
    told = capsys.readouterr().out
    [total] = [line for line in told.splitlines() if f"{len(kinds)} kinds in" in line]
    inputs, *_, peak = re.findall(r"[0-9,]+(?: MiB)?", total.split("│", 2)[2])
    assert int(inputs.replace(",", "")) >= count
    assert peak == "300 MiB"


def test_what_takes_too_much_memory_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(badinput, "MOST_MEMORY", -1)
    [fault] = badinput.judge(GOOD).broken
    assert "bytes of memory, more than" in fault
