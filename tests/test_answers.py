"""How answers of queries come out: every form, the same values, as they come, and said if cut."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse_assets.cli import console
from resources import duckdb_engine
from resources.duckdb_engine import DuckDBQueries
from resources.query_errors import place
from resources.settings import Settings
from tests.support import PROJECT
from tests.support.commands import Lakehouse

EVERY_TYPE = """
    SELECT 1::TINYINT AS a, 9007199254740993 AS b, sum(2) AS c, 1.50::DECIMAL(9,2) AS d,
           0::DECIMAL(18,8) AS e, 1.0::DOUBLE AS f, 1e300 AS g, true AS h, 'x, "y"' AS i,
           'two' || chr(10) || 'lines' AS j, '' AS k, NULL AS l, DATE '2025-04-01' AS m,
           TIMESTAMPTZ '2025-04-01 10:00:00+02' AS n, TIMESTAMPTZ '2025-04-01 10:00:00.5+00' AS o,
           TIMESTAMP '2025-04-01 10:00:00' AS p, [1, 2] AS q, MAP {'k': 'v'} AS r, {'s': 1} AS s,
           INTERVAL '1' DAY + INTERVAL '2' SECOND AS t, TIME '10:00:00' AS u, 'ä\t' AS v,
           ['a,b', NULL] AS w, 0.1::FLOAT AS x, -0.00000001::DECIMAL(18,8) AS y, chr(13) AS z
"""
"""A value of each type that a query may give, and texts that need quotes."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of a few hundred rows are of several batches; some thousand are not read on."""
    monkeypatch.setattr(duckdb_engine, "_BATCH_ROWS", 64)
    monkeypatch.setattr(duckdb_engine, "_COUNTED_BY_READING", 1000)


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """An empty lakehouse: these queries need no table."""
    return Lakehouse(tmp_path_factory.mktemp("house"))


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBQueries:
    """What answers there."""
    return DuckDBQueries(Settings(root=str(tmp_path / "lakehouse")).lake())


# -------------------------------------------------------------------------------------- values


def python_csv(sql: str) -> str:
    """The answer as DuckDB's own Python values, written by Python's csv module."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    cursor = connection.execute(sql)
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([column[0] for column in cursor.description])
    writer.writerows([console.text(value) for value in row] for row in cursor.fetchall())
    return lines.getvalue()


@pytest.mark.parametrize(
    "sql",
    [
        EVERY_TYPE,
        f"SELECT * EXCLUDE (i, j, w, z) FROM ({EVERY_TYPE})",  # nothing needs quotes
        f"{EVERY_TYPE} UNION ALL BY NAME SELECT NULL AS a",
        "SELECT NULL AS only",
        "SELECT 1 AS x WHERE false",
        'SELECT 1 AS "a,b", 2 AS "a,b"',
    ],
)
def test_csv_says_what_python_says(house: Lakehouse, sql: str) -> None:
    """Arrow writes most of it, and no value otherwise than Python's own text of it."""
    assert house.here("query", sql, "--format", "csv").out == python_csv(sql)


def test_an_empty_answer_says_so_and_has_its_columns(house: Lakehouse) -> None:
    wide = ", ".join(f"1 AS column_of_a_long_name_{at}" for at in range(9))
    for columns in (60, 400):
        ended = house.here("query", f"SELECT {wide} WHERE false", columns=columns)
        assert "0 rows" in ended.err
        assert "col" in ended.out


def test_json_has_numbers_where_they_are_whole(house: Lakehouse) -> None:
    """Sums of BIGINT are numbers; what JSON has no type for is text; maps are objects."""
    [row] = json.loads(house.here("query", EVERY_TYPE, "--format", "json").out)
    assert [row[name] for name in "abcdfhl"] == [1, 9007199254740993, 2, "1.50", 1.0, True, None]
    assert (row["m"], row["n"]) == ("2025-04-01", "2025-04-01 08:00:00+00:00")
    assert (row["q"], row["r"], row["s"], row["w"]) == ([1, 2], {"k": "v"}, {"s": 1}, ["a,b", None])
    assert row["t"] == "1 day, 0:00:02"
    assert house.here("query", "SELECT 1 WHERE false", "--format", "json").out == "[]\n"


def test_json_lines(house: Lakehouse) -> None:
    """A line a row, however many batches."""
    out = house.here("query", "SELECT i FROM range(700) t(i)", "--format", "jsonl").out
    assert [json.loads(line)["i"] for line in out.splitlines()] == [*range(700)]
    whole = house.here("query", "SELECT i FROM range(3) t(i)", "--format", "json").out
    assert whole == json.dumps([{"i": i} for i in range(3)], indent=2) + "\n"


# --------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("rows", "options", "shown", "said"),
    [
        (20, (), 20, None),
        (21, (), 20, "… 20 of 21 rows; --limit 0 shows all"),
        (700, (), 20, "… 20 of 700 rows"),
        (3_000, (), 20, "… 20 of 3,000 rows"),  # too many to read on
        (30, ("--limit", "0"), 30, None),
        (30, ("--limit", "5"), 5, "… 5 of 30 rows"),
        # Nobody reads more, and to lay them out takes minutes.
        (2_001, (), 20, "… 20 of 2,001 rows; --output FILE writes all"),
        (2_001, ("--limit", "0"), 2_000, "… 2,000 of 2,001 rows; --output FILE writes all"),
        (9_000, ("--limit", "5000"), 2_000, "… 2,000 of 9,000 rows; --output FILE writes all"),
    ],
)
def test_a_table_says_what_it_leaves_out(
    house: Lakehouse, rows: int, options: tuple[str, ...], shown: int, said: str | None
) -> None:
    """About a screen of rows, and of how many."""
    ended = house.here("query", f"SELECT i FROM range({rows}) t(i); ", *options)
    assert sum(line.startswith("│") for line in ended.out.splitlines()) == shown
    assert (ended.err == "") if said is None else (said in ended.err), ended.err


def test_other_forms_have_all_unless_limited(house: Lakehouse) -> None:
    """A program that reads CSV gets every row; asked for some, it is told of the others."""
    sql = "SELECT i FROM range(1000) t(i)"
    ended = house.here("query", sql, "--format", "csv")
    assert (ended.out.count("\n"), ended.err) == (1001, "")
    ended = house.here("query", sql, "--format", "csv", "--limit", "700")
    assert ended.out.count("\n") == 701
    assert "700 of 1,000 rows" in ended.err


def test_nothing_of_a_value_is_cut(house: Lakehouse) -> None:
    """Through a pipe a table is as wide as it must be; in a terminal it becomes records."""
    long = "x" * 500
    sql = f"SELECT '{long}' AS first_one, '{long}' AS second, [1, 2] AS list"
    assert house.here("query", sql).out.count(long) == 2
    shown = house.here("query", sql, columns=110).out
    assert shown.count(long) == 2
    assert "first_one │ xxx" in shown
    assert "─── 1 ─" in shown
    assert "┃ a ┃" in house.here("query", "SELECT 1 AS a", columns=110).out


# ---------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.JSONL", "a.parquet"])
def test_files_hold_the_whole_answer(house: Lakehouse, tmp_path: Path, name: str) -> None:
    """In the form that the ending names, with every row."""
    file = tmp_path / name
    sql = "SELECT i, (i / 4)::DECIMAL(9,2) AS d, DATE '2025-04-01' AS day FROM range(700) t(i)"
    assert house.here("query", sql, "--output", str(file)).out == f"{file}: 700 rows\n"
    match file.suffix.lower():
        case ".csv":
            rows = [*csv.DictReader(file.read_text().splitlines())]
        case ".json":
            rows = json.loads(file.read_text())
        case ".jsonl":
            rows = [json.loads(line) for line in file.read_text().splitlines()]
        case _:
            table = pq.read_table(file)
            assert table.schema.field("d").type == pa.decimal128(9, 2)
            assert table.schema.field("day").type == pa.date32()
            rows = table.to_pylist()
    assert len(rows) == 700
    assert [str(value) for value in rows[3].values()] == ["3", "0.75", "2025-04-01"]
    assert [p.name for p in tmp_path.glob("*")] == [name]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--output", "{}/a.xls"), "known endings; use .csv, .json, .jsonl, .parquet"),
        (("--output", "{}/a"), "known endings; use .csv"),
        (("--output", "{}/none/a.csv"), "a file that can be written"),
        (("--output", "{}/a.csv", "--format", "json"), "leave --format out"),
    ],
)
def test_files_that_cannot_be(
    house: Lakehouse, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """One clear line, and no file."""
    ended = house.here("query", "SELECT 1", *(o.format(tmp_path) for o in options))
    assert (ended.code, ended.err.count("\n")) == (1, 1), ended
    assert said in ended.err
    assert not [*tmp_path.iterdir()]


def test_a_type_that_parquet_lacks_is_said(house: Lakehouse, tmp_path: Path) -> None:
    """What to do about it, too."""
    file = tmp_path / "a.parquet"
    ended = house.here("query", "SELECT INTERVAL '1' DAY AS span", "--output", str(file))
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "Parquet cannot hold" in ended.err
    assert not file.exists()


def test_a_failure_half_way_leaves_the_older_file(house: Lakehouse, tmp_path: Path) -> None:
    """A file is written beside and renamed: it is whole, or the one from before."""
    file = tmp_path / "a.csv"
    file.write_text("older\n")
    late = "CASE WHEN i = 290000 THEN 'x' ELSE i::VARCHAR END"
    sql = f"SELECT CAST({late} AS INT) FROM range(300000) t(i)"
    ended = house.here("query", sql, "--output", str(file))
    assert ended.code == 1
    assert "Could not convert string 'x'" in ended.err
    assert file.read_text() == "older\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


# ------------------------------------------------------------------------------------ streaming


def test_batches_come_before_the_answer_is_whole(engine: DuckDBQueries) -> None:
    """The first rows of an answer that would not end are there at once."""
    with engine.stream("SELECT i FROM range(1000000000000) t(i)") as stream:
        assert next(iter(stream)).num_rows <= 2048


def test_a_reader_that_leaves_ends_it_quietly(house: Lakehouse) -> None:
    """As in `| head`."""
    sql = "SELECT i FROM range(100000000) t(i)"
    with subprocess.Popen(
        [sys.executable, "-m", "lakehouse_assets.cli", "query", sql, "--format", "csv"],
        cwd=PROJECT, env=house.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as command:  # fmt: skip
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline() == b"i\n"
        command.stdout.close()
        assert command.stderr.read() == b""


# --------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("gold.daily_sale", "near: gold.daily_sales;"),
        ("gld.daily_sales", "near: gold.daily_sales;"),
        ("daily_sales", "near: gold.daily_sales;"),
        ("Gold.Daily_Sale", "near: gold.daily_sales"),
        ("product", "near: silver.products"),
        ("views.daily", "near: views.daily_revenue;"),
        ("weather", "lakehouse tables lists them"),
    ],
)
def test_tables_of_near_names(house: Lakehouse, asked: str, near: str) -> None:
    """What is misspelt is named with what may be meant, and with no word of the engine's own."""
    ended = house.here("query", f"SELECT * FROM {asked}")
    first, line, caret = ended.err.splitlines()
    assert ended.code == 1
    assert first.startswith(f"no table is named {asked}; {near}")
    assert caret.index("^") == line.index(asked)


@pytest.mark.parametrize(
    ("sql", "line"),
    [
        ("SELECT revenu FROM (SELECT 1 AS revenue)", "no column is named revenu; near: revenue;"),
        ("SELECT t.x FROM (SELECT 1 AS revenue) t", "no column is named x; lakehouse tables"),
    ],
)
def test_columns_of_near_names(house: Lakehouse, sql: str, line: str) -> None:
    """The columns that the engine takes for near, if it names any."""
    assert house.here("query", sql).err.startswith(line)


def test_the_caret_stays_under_its_column(house: Lakehouse) -> None:
    """The engine's own place in the query is kept, line by line."""
    ended = house.here("query", "SELECT\n  1,\n  nothing\nFROM range(3)")
    _, line, caret = ended.err.splitlines()
    assert line == "LINE 3:   nothing"
    assert caret.index("^") == line.index("nothing")


def test_athenas_places() -> None:
    """Its messages name line and column; beyond the text there is nothing to show."""
    assert place("SELECT 1,\n  x", 2, 3) == "\nLINE 2:   x\n          ^"
    assert place("SELECT 1", 2, 3) == ""
