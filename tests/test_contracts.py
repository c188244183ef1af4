"""Contracts that say more, and what is said of those that contradict themselves."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from lakehouse_assets.errors import ContractError
from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.tables import patterns, registry, sql_checks, timestamp_formats
from lakehouse_assets.tables.contract import Advice, Column, Dataset, RowRule
from lakehouse_assets.tables.contract_checks import check_dataset, check_references
from lakehouse_assets.tables.registry import DATASETS
from tests.support import PROJECT
from tests.support.oracle import Land
from tests.support.world import World

DAY = date(2025, 4, 1)

ID = Column(name="id", type="BIGINT", required=True, description="It.")
PARENT = Column(name="of", type="BIGINT", references="orders", description="Its order.")


def dataset(*columns: Column, **more: Any) -> Dataset:
    return Dataset(
        **{"name": "it", "description": "It.", "key": "id", "columns": (ID, *columns)} | more
    )


def column(kind: str = "STRING", **more: Any) -> Column:
    return Column(name="c", type=kind, description="C.", **more)


def dialect(**more: Any) -> Dataset:
    return dataset(dialect=Dialect(**more))


SOUND = (
    dataset(column(allowed=("a", "b"), aliases=("cc",), pattern="[a-z]+|\\.")),
    dataset(column("INT", required=True), key=("id", "c")),
    dialect(delimiter="\t", decimal=",", thousands=".", encoding="cp1252", timezone="Asia/Tokyo"),
    dialect(timestamp_formats=("%d.%m.%Y %H:%M:%S.%f%z", "%m/%d/%Y %I:%M %p", "%Y%m%d")),
    dialect(timestamp_formats=("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%d-%m %H:%M")),
)

WRONG: dict[str, tuple[Dataset, str]] = {
    "key": (dataset(key="no"), "the key 'no' is no column; use id"),
    "part of a key": (dataset(key=("id", "no")), "the key 'no' is no column; use id"),
    "no key": (dataset(key=()), "key names no column, or one twice; name what makes a row unique"),
    "key may be null": (dataset(column(), key=("id", "c")), "column 'c': is part of the key"),
    "inexact key": (
        dataset(column("DOUBLE", required=True), key=("id", "c")),
        "column 'c': a DOUBLE is never surely equal; give a key DECIMAL(p,s)",
    ),
    "minimum of texts": (dataset(column(minimum=1)), "column 'c': minimum and maximum are for"),
    "empty range": (
        dataset(column("INT", minimum=2, maximum=1)),
        "column 'c': minimum 2 is above maximum 1; exchange them",
    ),
    "numbers among texts": (dataset(column(allowed=(1,))), "column 'c': allowed must be"),
    "texts among numbers": (dataset(column("INT", allowed=("1",))), "column 'c': allowed must be"),
    "one text": (dataset(column(allowed=("ab"))), "column 'c': allowed is no tuple; write ('ab',)"),
    "pattern": (
        dataset(column(pattern="\\d+")),
        "column 'c': pattern '\\\\d+' cannot be read alike by all engines from '\\\\d+' on;",
    ),
    "broken pattern": (dataset(column(pattern="(a")), "column 'c': pattern '(a' cannot be read:"),
    "alias of two": (
        dataset(column(aliases=("id",))),
        "header 'id' is asked for by id and c; leave it to one of them",
    ),
    "alias in capitals": (
        dataset(column(aliases=("C C",))),
        "column 'c': headers are compared trimmed and in lower case; write 'c c' for 'C C'",
    ),
    "derived and required": (
        dataset(column(derived="id", required=True)),
        "column 'c': derived, so references, required and pattern do not go with it",
    ),
    "place": (dataset(partition_by=("no",)), "layout column 'no' is no column; use id"),
    "null place": (dataset(column(), partition_by=("c",)), "column 'c': tables are partitioned"),
    "inexact place": (
        dataset(column("DOUBLE", required=True), partition_by=("c",)),
        "column 'c': no partition can be DOUBLE",
    ),
    "rule's name": (
        dataset(row_rules=(RowRule(name="A B", description="", sql="id > 1"),)),
        "row rule 'A B': has no name of its own; use a-z, 0-9 and _",
    ),
    "delimiter": (dialect(delimiter=";;"), "dialect: delimiter ';;' cannot be one; use one ASCII"),
    "wide": (
        dialect(delimiter="¦"),
        "dialect: delimiter '¦' cannot be one; use one ASCII character",
    ),
    "encoding": (dialect(encoding="latin0"), "dialect: encoding 'latin0' is not known; use one of"),
    "no text": (dialect(encoding="hex"), "dialect: encoding 'hex' is not known; use one of"),
    "marks": (dialect(decimal=",", thousands=","), "dialect: thousands ',' cannot be one beside"),
    "zone": (dialect(timezone="Mars"), "dialect: timezone 'Mars' is not known; use a name such as"),
    "format": (
        dialect(timestamp_formats=("%d/%m/%y",)),
        "dialect: timestamp format '%d/%m/%y': %y is not known; use %Y, %m, %d",
    ),
    "half a format": (
        dialect(timestamp_formats=("%d/%m %H:%M",)),
        "dialect: timestamp format '%d/%m %H:%M': says no day, or one twice; use %Y, %m and %d",
    ),
    "dates of sheets": (
        dialect(timestamp_formats=("%d.%m.%Y", "%Y-%d-%mT%H:%M:%S")),
        "dialect: timestamp format '%Y-%d-%mT%H:%M:%S': reads 2025-04-03T05:06:07 otherwise than",
    ),
    "minutes first": (
        dialect(timestamp_formats=("%Y-%m-%d %M:%H:%S",)),
        "dialect: timestamp format '%Y-%m-%d %M:%H:%S': reads 2025-04-03 05:06:07 otherwise than",
    ),
}


@pytest.mark.parametrize("it", range(len(SOUND)))
def test_a_sound_contract_is_none_of_them(it: int) -> None:
    check_dataset(SOUND[it])


@pytest.mark.parametrize("name", WRONG)
def test_a_contradiction_is_one_line(name: str) -> None:
    wrong, line = WRONG[name]
    with pytest.raises(ContractError) as said:
        check_dataset(wrong)
    assert str(said.value).startswith(line)
    assert "; " in str(said.value)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("it", "line"),
    [
        (PARENT, None),
        (replace(PARENT, references="order"), "column 'of': references 'order', which is no dat"),
        (
            replace(PARENT, references="pairs"),
            "column 'of': references pairs, whose key is (id, c)",
        ),
        (replace(PARENT, type="INT"), "column 'of': is INT, and the key of orders is BIGINT; give"),
    ],
)
def test_a_foreign_key_names_one_column(it: Column, line: str | None) -> None:
    pairs = dataset(column("INT", required=True), name="pairs", key=("id", "c"))
    there = {**DATASETS, "pairs": pairs}
    if line is None:
        check_references(dataset(it), there)
        return
    with pytest.raises(ContractError, match=re.escape(line)):
        check_references(dataset(it), there)


@pytest.mark.parametrize(
    ("sql", "line"),
    [
        ("total_amount >= 0 AND order_id IS NOT NULL", None),
        ("weird_but_the_engine_may_know(total_amount)", None),
        ("total_amount >", "cannot be read: "),
        (
            "price > 0",
            ": no column is named 'price'; the columns are order_num, order_id",
        ),
        ("total_amount", "is no condition but DECIMAL(12, 2); write what must be true of a row"),
        ("sum(total_amount) > 0", "must be one expression over a row's columns"),
        ("order_id IN (SELECT 1)", "must be one expression over a row's columns"),
        ("true, false", "must be one expression over a row's columns"),
        ("order_timestamp < now()", "asks NOW(), and tables depend on the landed files alone"),
    ],
)
def test_the_sql_of_a_rule_is_read_when_definitions_load(
    monkeypatch: pytest.MonkeyPatch, sql: str, line: str | None
) -> None:
    rule = RowRule(name="it", description="It.", sql=sql)
    monkeypatch.setitem(DATASETS, "orders", replace(DATASETS["orders"], row_rules=(rule,)))
    if line is None:
        sql_checks.check_all()
        return
    with pytest.raises(ContractError) as said:
        sql_checks.check_all()
    start = "lakehouse_assets/tables/silver/orders.py: row rule 'it': its SQL"
    assert str(said.value).startswith(start)
    assert line in str(said.value)
    assert "\n" not in str(said.value)


def test_the_sql_of_advice_and_derived_columns_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    advice = Advice(name="it", description="It.", sql="SELECT _batch_date FROM published")
    monkeypatch.setitem(DATASETS, "orders", replace(DATASETS["orders"], advice=(advice,)))
    with pytest.raises(ContractError, match="it must give _batch_date and sample"):
        sql_checks.check_all()
    derived = replace(DATASETS["orders"].columns[-1], derived="to_date(no)")
    columns = (*DATASETS["orders"].columns[:-1], derived)
    monkeypatch.setitem(DATASETS, "orders", replace(DATASETS["orders"], columns=columns, advice=()))
    with pytest.raises(
        ContractError, match=re.escape("column 'order_date': derived: no column is named 'no'")
    ):
        sql_checks.check_all()


@pytest.mark.parametrize(
    "pattern", ["[A-Za-z0-9_]{2,30}", "(?:ab|c)+x?", "\\(x\\)", "é", "[^\\]]", "a{3}|b"]
)
def test_patterns_that_all_engines_read_alike(pattern: str) -> None:
    assert patterns.problem(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [".", "\\w", "^a", "a$", "(?=a)", "a*?", "a++", "(?i)a", "[[:alpha:]]", "[a&&b]", "\\1",
     "a{2000}", "[z-a]", "(", "a)", "", "\n"],
)  # fmt: skip
def test_patterns_that_they_do_not(pattern: str) -> None:
    assert patterns.problem(pattern) is not None


@pytest.mark.parametrize("format_", ["%d.%m.%Y", "100%% %Y-%m-%dT%H:%M:%S%z", "%I%p %Y %m %d"])
def test_formats_that_say_a_point_in_time(format_: str) -> None:
    assert timestamp_formats.problem(format_) is None


@pytest.mark.parametrize(
    "format_", ["", "%d.%m.", "%Y%Y%m%d", "%Y-%m-%d %I:%M", "%Y-%m-%d %", "%j"]
)
def test_formats_that_do_not(format_: str) -> None:
    assert timestamp_formats.problem(format_) is not None


def test_no_module_but_the_tables_knows_the_shop() -> None:
    """Nor do the resources: a shop is its package of tables."""
    names = "|".join([*registry.DATASETS, *(t.name for t in registry.DERIVED.values())])
    known = re.compile(rf"\b({names})\b")
    own = [
        PROJECT / "lakehouse_assets" / "tables" / layer
        for layer in ("silver", "gold", "mart", "queries", "dashboards")
    ]
    found = [
        f"{path.relative_to(PROJECT)}:{number}: {line.strip()}"
        for package in ("lakehouse_assets", "resources")
        for path in sorted((PROJECT / package).rglob("*"))
        if path.suffix in {".py", ".sql"} and not any(path.is_relative_to(folder) for folder in own)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if known.search(line)
    ]
    assert not found, "\n".join(found)


def test_bounds_patterns_and_row_rules_reject(lake: World) -> None:
    """Each by its name; a value that is missing breaks none of them, nor does a ragged line."""
    products = DATASETS["products"]
    rules = {
        "department_id": {"maximum": 9},
        "department": {"allowed": ("Toys", 'It\'s \\ "so"')},
        "product_name": {"pattern": "[A-Z][a-z ']+(?:\\\\|/)?", "required": False},
    }
    columns = tuple(replace(c, **rules.get(c.name, {})) for c in products.columns)  # type: ignore[arg-type]
    rule = RowRule(name="not_both", description="It.", sql="product_id <> 3 OR department_id <> 3")
    DATASETS["products"] = replace(products, columns=columns, row_rules=(rule,))
    lines = (
        "1,9,Toys,Kite", "2,10,Toys,Kite", "3,3,Toys,Kite", "4,1,toys,Kite", "5,1,Toys,kite",
        "6,1,Toys,", "7,1,\"It's \\ \"\"so\"\"\",It's\\", "8,1,Toys,Kite!", "9", "10,x,Toys,Kite",
    )  # fmt: skip
    header = ",".join(products.headers)
    lake._apply(Land("products", DAY, "p.csv", "\n".join([header, *lines, ""]).encode()))
    lake.run()
    assert {row["product_id"] for row in lake.rows("silver/products")} == {1, 6, 7}
    found = {row["_row"] - 1: list(row["_rules"]) for row in lake.rows("rejected/products")}
    assert found == {
        2: ["department_id.max"],
        3: ["not_both"],
        4: ["department.allowed"],
        5: ["product_name.pattern"],
        8: ["product_name.pattern"],
        9: ["row.ragged"],
        10: ["department_id.type"],
    }


def test_a_header_of_another_name_is_the_same_column(lake: World) -> None:
    """In files that come, and, of a column that is renamed, in those that are there."""

    def names() -> dict[int, str]:
        return {row["product_id"]: row["product_name"] for row in lake.rows("silver/products")}

    old = "product_id,department_id,department,product_name\n1,1,Toys,Kite\n"
    lake._apply(Land("products", DAY, "a.csv", old.encode()))
    lake.run()
    *others, name = DATASETS["products"].columns
    renamed = replace(name, source="title", aliases=("product_name", "label"))
    DATASETS["products"] = replace(DATASETS["products"], columns=(*others, renamed))
    lake.run()
    assert names() == {1: "Kite"}
    text = old.replace("1,1", "2,1").replace("product_name", " Label ")
    lake._apply(Land("products", DAY, "b.csv", text.encode()))
    both = text.replace(" Label ", "label,title").replace("2,1", "3,1").replace("Kite", "Kite,Top")
    lake._apply(Land("products", DAY, "c.csv", both.encode()))
    lake.run()
    assert names() == {1: "Kite", 2: "Kite"}
    assert [path.file for path, _ in lake.plan().waiting] == ["c.csv"]


def test_another_word_is_no_other_rule() -> None:
    orders = DATASETS["orders"]
    [first, *others] = orders.columns
    reworded = replace(orders, columns=(replace(first, description="In other words."), *others))
    assert reworded.rules_digest == orders.rules_digest
    stricter = replace(orders, columns=(replace(first, minimum=1), *others))
    assert stricter.rules_digest != orders.rules_digest
