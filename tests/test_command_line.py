"""What a person meets at the command line before any run: roots, names, dates, completion."""

from __future__ import annotations

import csv
import re
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock
from rich.console import Console

from lakehouse_assets.cli import console, launch, runs
from lakehouse_assets.cli.commands import app
from lakehouse_assets.defs.run_report import FailedCheck
from lakehouse_assets.queries import named
from resources import ui_watcher
from resources.settings import Settings
from tests.support import PROJECT
from tests.support.commands import GOOD, ORDERS, Lakehouse, put
from tests.support.processes import until
from tests.support.servers import own_port


@pytest.fixture
def house(tmp_path: Path) -> Lakehouse:
    """A lakehouse that LAKEHOUSE_ROOT names; nothing is in it yet."""
    return Lakehouse(tmp_path)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lakehouse:
    """A person in an empty folder, who has named no lakehouse."""
    house = Lakehouse(tmp_path)
    house.root.rmdir()
    del house.environment["LAKEHOUSE_ROOT"]
    monkeypatch.chdir(tmp_path)
    return house


@pytest.fixture(scope="module")
def day(good_day: Path, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """A lakehouse with a day in it, which nobody changes."""
    return Lakehouse.copied(good_day, tmp_path_factory.mktemp("day"))


# ------------------------------------------------------------------------------------ the root


@pytest.mark.parametrize(
    "command",
    [["status"], ["land", "orders.csv"], ["run"], ["query", "SELECT 1"], ["history"], ["ui"]],
    ids=lambda command: command[0],
)
def test_no_lakehouse_is_made_unasked(
    nowhere: Lakehouse, tmp_path: Path, command: list[str]
) -> None:
    """Where no terminal can be asked, a line says what to do, and nothing is there after it."""
    (tmp_path / "orders.csv").write_text(ORDERS)
    ended = nowhere.here(*command)
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert ended.err.startswith(f"no lakehouse is in {tmp_path} or above it; ")
    assert "lakehouse init" in ended.err
    assert "--root" in ended.err
    assert [p.name for p in tmp_path.iterdir()] == ["orders.csv"]


@pytest.mark.parametrize(("typed", "made"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_at_a_terminal_one_is_asked(
    nowhere: Lakehouse, tmp_path: Path, typed: str, *, made: bool
) -> None:
    """Before the first file lands, and only yes makes one."""
    (tmp_path / "orders.csv").write_text(ORDERS)
    ended = nowhere.here("land", "orders.csv", "--date", "2025-04-15", typed=typed)
    assert f"Make one, in {tmp_path}/.lakehouse?" in ended.err
    assert ended.code == (0 if made else 1)
    assert (tmp_path / ".lakehouse/raw/orders/2025-04-15/orders.csv").exists() == made
    assert (tmp_path / ".lakehouse").exists() == made


def test_the_nearest_above_is_meant(
    nowhere: Lakehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From every folder below, by the command line and by Dagster's code location alike."""
    assert nowhere.here("init").out.startswith(f"{tmp_path}/.lakehouse: made")
    assert "is there already" in nowhere.here("init").out
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    assert nowhere.here("status").out.startswith(f"lakehouse: {tmp_path}/.lakehouse\n")
    assert Settings.load().local == tmp_path / ".lakehouse"
    (below / "orders.csv").write_text(ORDERS)
    landed = nowhere.here("land", "orders.csv", "--date", "2025-04-15").out
    assert landed.startswith(f"lakehouse: {tmp_path}/.lakehouse\n")
    nowhere.here("init", str(below))  # another, for what is below
    assert nowhere.here("status").out.startswith(f"lakehouse: {below}/.lakehouse\n")


@pytest.mark.parametrize("before", [True, False])
def test_the_option_wins(nowhere: Lakehouse, tmp_path: Path, *, before: bool) -> None:
    """--root stands before the command or behind it, and over LAKEHOUSE_ROOT and what is here."""
    nowhere.here("init")
    nowhere.environment["LAKEHOUSE_ROOT"] = str(tmp_path / "other")
    named = ["--root", "third"]
    for name in ("other", "third"):
        nowhere.here("init", "--root", name)
    ended = nowhere.here(*(named if before else []), "status", *([] if before else named))
    assert ended.out.startswith(f"lakehouse: {tmp_path}/third\n")
    assert nowhere.here("status").out.startswith(f"lakehouse: {tmp_path}/other\n")


def test_a_root_that_is_none_is_not_believed(nowhere: Lakehouse, tmp_path: Path) -> None:
    """A misspelt folder is no empty lakehouse; a command that makes one says so."""
    nowhere.here("init")
    ended = nowhere.here("--root", "thrid", "status")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"no lakehouse is in {tmp_path}/thrid; ")
    ended = nowhere.here("--root", ".", "query", "SELECT 1")
    assert ended.err == f"{tmp_path} is no lakehouse, but {tmp_path}/.lakehouse is one; name that\n"
    (tmp_path / "orders.csv").write_text(ORDERS)
    ended = nowhere.here("--root", "new", "land", "orders.csv", "--date", "2025-04-01")
    assert (ended.code, ended.err) == (0, f"{tmp_path}/new: a new lakehouse\n")
    assert nowhere.here("--root", "new", "status").code == 0


def test_what_needs_no_lakehouse_asks_for_none(nowhere: Lakehouse, tmp_path: Path) -> None:
    """Tables, named queries and help are the contracts' own."""
    assert "gold.daily_sales" in nowhere.here("tables").out
    assert "customers" in nowhere.here("query", "--list").out
    assert "none here or above" in nowhere.here("doctor").out
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "settings",
    [{"LAKEHOUSE_ROOT": "s3://b"}, {"LAKEHOUSE_RAW": "s3://r", "LAKEHOUSE_PROCESSED": "s3://p"}],
)
def test_settings_that_say_where_it_is_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    """In an image, a Glue job or CI nobody is asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)  # make sets it
    assert not Settings.load().is_placed
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert Settings.load().is_placed


# -------------------------------------------------------------------------------------- landing


@pytest.mark.slow
def test_mended_rows_find_their_dataset(house: Lakehouse, tmp_path: Path) -> None:
    """As README says it: export, mend, land; the file's name and date are anything."""
    put(house, "orders.csv", ORDERS.replace("20.00", "oops"))
    put(house, "products.csv", GOOD["products.csv"])
    house.ok("run")
    file = tmp_path / "mend.csv"
    assert "1 rejected row; mend it" in house.here("rejected", "orders", "--export", str(file)).out
    file.write_text(file.read_text().replace("oops", "20.00"))
    today = datetime.now(UTC).date()
    assert f"orders/{today}/mend.csv: landed\n" in house.here("land", str(file)).out
    house.ok("run")
    assert house.value("SELECT count(*) FROM silver.orders") == 2
    assert house.value("SELECT count(*) FROM rejected.orders") == 0


def test_mended_rows_of_two_datasets_are_told(house: Lakehouse, tmp_path: Path) -> None:
    """They cannot land as one file; nor is the file's name more than what is in it."""
    rows = [["_origin_file", "a"], ["orders/2025-04-15/o.csv", "1"]]
    file = tmp_path / "products.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    assert re.search(r"orders/\S+/products.csv: landed", house.here("land", str(file)).out)
    with file.open("a", newline="") as stream:
        csv.writer(stream).writerow(["products/2025-04-15/p.csv", "2"])
    ended = house.here("land", str(file))
    assert ended.code == 1
    assert ended.err == (
        f"{file}: its rows come from orders and products; land those of one dataset at a time\n"
    )


def test_a_file_of_no_known_kind_does_not_land(house: Lakehouse, tmp_path: Path) -> None:
    """No run could read it: that is told at once."""
    (tmp_path / "orders.txt").write_text(ORDERS)
    ended = house.here("land", str(tmp_path / "orders.txt"), "--date", "2025-04-15")
    assert ended.err.startswith(
        f"{tmp_path}/orders.txt: not landed: not a .csv, .csv.gz or .xlsx file; "
    )
    assert ended.code == 1
    assert not [*house.root.rglob("orders.txt")]


def test_a_file_of_another_dataset_is_told(house: Lakehouse, tmp_path: Path) -> None:
    """By its columns, or by where its rows come from; whatever its name, or a person, says."""
    file, mended = tmp_path / "products.csv", tmp_path / "mended.csv"
    file.write_text(ORDERS)
    mended.write_text("_origin_file,id\norders/2025-04-15/o.csv,1\n")
    day = "products/2025-04-15"
    ended = house.here(
        "land", str(file), str(mended), "--dataset", "products", "--date", "2025-04-15"
    )
    assert ended.err == (
        f"{day}/products.csv: its columns are those of orders, not products; "
        f"lakehouse withdraw {day}/products.csv, and land it with --dataset orders\n"
        f"{day}/mended.csv: its rows come from orders, not products; "
        f"lakehouse withdraw {day}/mended.csv, and land it with --dataset orders\n"
    )


def test_another_delimiter_hides_no_dataset(house: Lakehouse, tmp_path: Path) -> None:
    """What a run then says of the file is what is wrong with it."""
    file = tmp_path / "stuff.csv"
    file.write_text(ORDERS.replace(",", ";"))
    ended = house.here("land", str(file), "--date", "2025-04-15")
    assert "orders/2025-04-15/stuff.csv: landed" in ended.out


def test_a_query_s_file_that_says_too_little_is_one_line(
    day: Lakehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks a table all the same is answered."""
    file = tmp_path / "bad.sql"
    file.write_text("SELECT 1")
    # In the package's folder it would be in the way of all tests that run beside this one.
    monkeypatch.setattr(named, "QUERIES", [file])
    named.named_queries.cache_clear()
    try:
        for words in (["query", "--list"], ["tables"], ["query", "--name", "daily_revenue"]):
            ended = day.here(*words)
            assert ended.code == 1
            assert ended.err == "bad.sql: says no purpose; begin it with a line -- PURPOSE\n"
        assert day.here("query", "SELECT count(*) AS n FROM silver.orders").code == 0
        file.write_text("-- Why.\nSELECT FROM WHERE ORDER BY 1")
        named.named_queries.cache_clear()
        ended = day.here("query", "--name", "bad")
        assert (ended.code, ended.err.count("\n")) == (1, 1)
        assert ended.err.startswith("bad.sql: cannot be read: ")
    finally:
        named.named_queries.cache_clear()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2025-02-30", "is a day that does not exist"),
        ("20250401", "is not a date; write YYYY-MM-DD"),
        ("1.4.2025", "is not a date; write YYYY-MM-DD"),
    ],
)
def test_dates_say_what_is_wrong(house: Lakehouse, text: str, said: str) -> None:
    """A wrong form is one thing, a day that does not exist another; of options and parameters."""
    for asked in (
        ("land", "orders.csv", "--date", text),
        ("query", "--name", "customers", "--param", f"as_of={text}"),
    ):
        ended = house.here(*asked)
        assert ended.code == (2 if asked[0] == "land" else 1)
        words = " ".join(re.sub("[│╭╮╰╯─]", " ", ended.err).split())
        assert said.partition(";")[0] in words


# ------------------------------------------------------------------------------------ rejected


def test_rejected_rows_are_whole_and_counted(house: Lakehouse) -> None:
    """No cell is cut, and what is not shown is said, in every form."""
    long = "a very long name of a product, " * 10
    lines = "".join(f"x{i},1,Books,{long}\n" for i in range(30))
    header = GOOD["products.csv"].splitlines()[0]
    put(house, "products.csv", f"{header}\n{lines.replace(', ', ' ')}")
    house.ok("run", "--tables", "bronze.products,silver.products")
    shown = house.here("rejected", "products", columns=110)
    assert shown.out.count(long.replace(", ", " ").strip()) == 20
    assert "… 20 of 30 rows; --limit 0 shows all" in shown.err
    by_rule = "Rows by rule (one may break several): product_id.type 30\n"
    assert shown.err.startswith(by_rule)
    assert house.here("rejected", "products", "--limit", "0", columns=110).err == by_rule
    other_day = house.here("rejected", "products", "--date", "2025-04-16", columns=110)
    assert other_day.err == "0 rows\n"
    assert len(house.here("rejected", "products", "--format", "jsonl").out.splitlines()) == 30


# ------------------------------------------------------------------------- tables and completion


def test_tables_lists_what_can_be_asked(day: Lakehouse) -> None:
    """Rows, columns, the newest batch date; and a table's columns with what they mean."""
    listed = [*csv.DictReader(day.here("tables", "--format", "csv").out.splitlines())]
    by_name = {row["name"]: row for row in listed}
    orders = by_name["silver.orders"]
    assert (orders["kind"], orders["rows"]) == ("table", "2")
    assert {by_name[n]["newest batch date"] for n in ("bronze.orders", "gold.daily_sales")} == {
        "2025-04-15"
    }
    assert by_name["views.daily_revenue"]["kind"] == "view"
    assert all(row["what it is"] for row in listed)
    columns = day.here("tables", "gold.daily_sales").out
    assert "average_order_value" in columns
    assert "DECIMAL(18,4)" in columns
    assert "revenue_7_days" in day.here("tables", "views.daily_revenue").out
    assert "near: gold.daily_sales" in day.here("tables", "gold.daily_sale").err


def completed(house: Lakehouse, words: str) -> list[str]:
    """What bash is offered behind these words."""
    found = house.environment
    house.environment = found | {
        "_LAKEHOUSE_COMPLETE": "complete_bash",
        "COMP_WORDS": f"lakehouse {words}",
        "COMP_CWORD": str(len(words.split(" "))),
    }
    try:
        return house.here().out.split()
    finally:
        house.environment = found


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("rejected ord", ["orders", "order_items"]),
        ("land x.csv --dataset pro", ["products"]),
        ("tables gold.da", ["gold.daily_sales"]),
        ("query --name best", ["best_sellers"]),
        ("run --date 2025-0", ["2025-04-15"]),
        ("withdraw orders/", ["orders/2025-04-15/orders.csv"]),
        ("accept ", []),
        ("reinstate ", []),
        ("run --tables silver.orders,gold.da", ["silver.orders,gold.daily_sales"]),
        ("stat", ["status"]),
    ],
)
def test_everything_that_has_a_name_is_completed(
    day: Lakehouse, words: str, offered: list[str]
) -> None:
    """By the contracts, the ledger and the raw zone."""
    assert sorted(completed(day, words)) == sorted(offered)


@pytest.mark.parametrize("words", ["restore --to ", "query --as-of "])
def test_runs_are_completed(day: Lakehouse, words: str) -> None:
    """By the names that `history` shows."""
    [row] = csv.DictReader(day.here("history", "--format", "csv").out.splitlines())
    assert completed(day, words) == [row["run"]]


def test_completion_says_nothing_where_it_cannot_look(nowhere: Lakehouse) -> None:
    """A message would be typed into the command."""
    nowhere.environment["LAKEHOUSE_ENGINE"] = "flink"
    assert completed(nowhere, "withdraw o") == []


# ----------------------------------------------------------------------------- smaller manners


def test_numbers_for_people_are_grouped_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every table of the command line; what a program reads is as it is."""
    monkeypatch.setattr(console, "out", Console(width=80))
    for form in (console.Format.TABLE, console.Format.CSV, console.Format.JSON_LINES):
        console.print_rows(["rows", "ok", "version"], [(12_345, True, "12345")], form)
    table, read = capsys.readouterr().out.split("rows,ok,version")
    assert "12,345" in table
    assert "│ True │ 12345" in table
    assert "12,345" not in read
    assert '{"rows": 12345, "ok": true, "version": "12345"}' in read


def test_lines_that_say_the_same_kind_of_thing_are_gathered() -> None:
    """Whatever the numbers in them; two of a kind stay as they are, and what differs stands out."""
    faulty = [f"orders/d/f{n}.csv: {n} of {n * 9} rows break a rule: see {n}" for n in range(1, 5)]
    others = ["orders/d/f1.csv: unexpected columns a", "orders/d/f2.csv: unexpected columns b"]
    assert console.gathered([*faulty, *others, others[0], "orders/d/x.csv: the last line"]) == [
        f"{faulty[0]} (and 3 more like it)",
        *others,
        "orders/d/x.csv: the last line",
    ]


def test_figures_that_do_not_agree_are_errors_of_a_run() -> None:
    """Files, and rows that break a rule, have lines of their own; what only warns is no error."""
    day, other = "2025-04-15", "2025-04-16"
    checks = [
        FailedCheck("gold.daily_sales", "sums_revenue", day, severe=True, description="1, not 2."),
        FailedCheck(
            "gold.daily_sales", "sums_revenue", other, severe=True, description="3, not 4."
        ),
        FailedCheck("silver.orders", "valid_total_amount", day, severe=True, description="many"),
        FailedCheck("bronze.orders", "reject_rate", day, severe=True, description="held"),
        FailedCheck("bronze.orders", "volume", day, severe=False, description="unusual"),
    ]
    assert launch._errors(checks) == [
        f"gold.daily_sales sums_revenue ({other}): 3, not 4; likewise on 1 other date"
    ]


def test_a_dry_run_names_a_few_grains() -> None:
    assert runs._few("") == ""
    assert runs._few("2025-04-01; 2025-04-02") == "2025-04-01; 2025-04-02"
    assert runs._few("1; 2; 3; 4") == "1; 2 …"


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM silver.orders", " -- a note\n/* two\nlines */ drop table silver.orders;"],
)
def test_queries_only_read(day: Lakehouse, sql: str) -> None:
    """Whoever would change a table so is told how tables change; and a table may be so named."""
    ended = day.here("query", sql)
    assert ended.code == 1
    assert ended.err.startswith("queries only read, and D")
    assert "lakehouse land, withdraw, run" in ended.err
    assert day.here("query", 'SELECT 1 AS "delete"').code == 0


@pytest.mark.parametrize(
    ("sql", "line"),
    [
        ("", "the query is empty; write a SELECT\n"),
        (" ; -- nothing", "the query is empty; write a SELECT\n"),
        ("SELECT '\udcff'", "the query is not text in UTF-8; write it anew\n"),
        ("show tables", "SHOW is not known here; lakehouse tables lists the tables\n"),
        ("SELECT 1; SELECT 2", "these are 2 statements; ask one SELECT at a time\n"),
    ],
)
def test_a_query_is_one_statement(day: Lakehouse, sql: str, line: str) -> None:
    """None, two, or bytes that are no text are one line each; a last semicolon is no statement."""
    ended = day.here("query", sql)
    assert (ended.code, ended.err) == (1, line)
    assert day.here("query", "SELECT ';' AS x;").code == 0


def test_small_manners(house: Lakehouse) -> None:
    """-h and --version are there, and a misspelt command is answered with the near one."""
    assert re.fullmatch(r"lakehouse [0-9.]+\n", house.here("--version").out)
    assert "--dataset" in house.here("land", "-h").out
    ended = house.here("querry")
    assert ended.code == 2
    assert "Did you mean 'query'" in ended.err
    assert "did you mean orders?" in house.here("rejected", "order").err
    ended = house.here("query", "--name", "customer")
    assert "did you mean customers?" in ended.err


def test_help_shows_words_and_no_types(house: Lakehouse) -> None:
    """Every command: no type of Python's, no text that Markdown has taken for markup."""
    names = [str(command.name) for command in app.registered_commands]
    assert len(names) > 15
    for words in ([], ["new"], ["new", "dataset"], *([name] for name in names)):
        told = house.here(*words, "-h", columns=200).out
        assert "Usage: " in told
        found = re.search(r"(?<!/)<(str|bool|int|path|file)>|list\[\w+\]|; /", told)
        assert found is None, found


def test_an_empty_lakehouse_says_what_to_do_first(house: Lakehouse) -> None:
    first = "Nothing has landed yet: lakehouse land FILE puts files in."
    assert house.here("run").out == f"{first}\n"
    assert house.here("status").out.endswith(f"{first}\n")
    ended = house.here("query", "SELECT * FROM gold.daily_sales")
    assert ended.err == "gold.daily_sales is not made yet; land files, then lakehouse run\n"
    assert house.here("rejected", "orders").err.endswith("land files, then lakehouse run\n")
    assert house.here("history").out == "Nothing has run yet; lakehouse run is the first.\n"


def test_a_taken_port_is_said_at_once(house: Lakehouse) -> None:
    """Before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = house.here("ui", "--port", str(port))
    assert ended.code == 1
    assert ended.err.startswith(f"port {port} of 127.0.0.1 is taken")
    assert ended.err.count("\n") == 1
    assert "make ui PORT=" in ended.err
    assert not [*house.root.iterdir()]
    ended = house.here("ui", "--host", "192.0.2.1")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    for beyond in ("0", "-5", "65536", "99999"):
        assert house.here("ui", "--port", beyond).code == 2


def test_a_second_ui_of_a_lakehouse_is_refused(house: Lakehouse) -> None:
    """Two daemons on one instance would warn of each other for ever."""
    folder = Settings(root=str(house.root)).local / "dagster"
    folder.mkdir(parents=True)
    (folder / "ui.url").write_text("http://127.0.0.1:3000")
    with FileLock(folder / "ui.lock"):
        ended = house.here("ui", "--port", "3001")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "is open already: http://127.0.0.1:3000; use that one" in ended.err


def test_make_hands_the_port_on() -> None:
    """`make ui PORT=3001` means that port."""
    done = subprocess.run(
        ["make", "-n", "ui", "PORT=3001"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert "lakehouse ui --port 3001" in done.stdout


def test_the_ui_is_announced_when_it_answers_and_ends_with_its_folder(tmp_path: Path) -> None:
    """Not before, and with its address; one line where the folder is removed."""
    program, file = PROJECT / "resources" / "ui_watcher.py", tmp_path / "dagster.yaml"
    file.touch()
    lock = tmp_path / "ui.lock"
    with own_port() as port:
        url = f"http://127.0.0.1:{port}"
        watcher = [sys.executable, "-I", str(program), url, str(file), str(lock)]
        code = (
            "import signal, subprocess, time; signal.signal(signal.SIGINT, signal.SIG_DFL); "
            f"subprocess.Popen({watcher}); time.sleep(600)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as ui:
            time.sleep(1)
            assert ui.poll() is None
            answer = (
                "import http.server as h, sys\n"
                "class H(h.BaseHTTPRequestHandler):\n"
                "    def do_GET(self): self.send_response(200); self.end_headers()\n"
                "    def log_message(self, *_): pass\n"
                f"h.HTTPServer(('127.0.0.1', {port}), H).handle_request()\n"
            )
            server = subprocess.Popen([sys.executable, "-c", answer])
            assert ui.stdout
            told = [ui.stdout.readline(), ui.stdout.readline()]
            server.wait(timeout=60)
            assert f"The UI is ready: {url}" in "".join(told)
            assert ui_watcher.held(lock) == url
            file.unlink()
            _, err = ui.communicate(timeout=60)
    assert ui.returncode
    until(lambda: ui_watcher.held(lock) is None, 60, "the watcher's end")
    assert err.startswith(f"{tmp_path}: the folder has been removed, and the UI ends; start it")
