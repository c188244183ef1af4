"""Dashboards without a browser: definitions, what is asked, the page that comes of it."""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import vl_convert

from lakehouse_assets.dashboards.charts import chart
from lakehouse_assets.dashboards.checks import faults
from lakehouse_assets.dashboards.page import MOST_BYTES, page
from lakehouse_assets.dashboards.publish import publish, remembering, stamp_of
from lakehouse_assets.dashboards.questions import (
    Answered,
    Answers,
    ask,
    question,
    source_columns,
    sources,
)
from lakehouse_assets.dashboards.registry import dashboards
from lakehouse_assets.defs.dashboard_assets import dashboard_assets
from lakehouse_assets.defs.keys import partitions
from lakehouse_assets.queries.engine import Answer, Ask
from lakehouse_assets.queries.named import NamedQuery
from lakehouse_assets.queries.portability import lint
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.storage import LocalStorage
from lakehouse_assets.tables.dashboard import (
    Aggregate,
    Bars,
    Choice,
    Dashboard,
    Dates,
    Field,
    Figure,
    Form,
    HeatMap,
    Line,
    Measure,
    RankedTable,
    Section,
    Source,
    Visual,
)
from resources.arrow_values import everything
from resources.dashboard_pages import DashboardPages
from resources.duckdb_engine import DuckDBQueries
from resources.query_engine import query_engine
from resources.settings import Settings
from tests.support import PROJECT, Once
from tests.support.commands import ORDERS, Lakehouse, put
from tests.support.nasty_shop import nasty_shop

DASHBOARDS = dashboards()
DRAWN = datetime(2025, 5, 1, 12, 30, tzinfo=UTC)
EACH = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=lambda d: d.name)


@pytest.fixture(scope="module")
def nasty(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """A shop with all that is hard to show, run raw to gold."""
    made = once("nasty-shop", nasty_shop)
    return Lakehouse.copied(made, tmp_path_factory.mktemp("nasty"))


@pytest.fixture(scope="module")
def nasty_lake(nasty: Lakehouse) -> Iterator[Lake]:
    """The same as a lake of this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_ROOT", str(nasty.root))
        yield Settings.load().lake()


@pytest.fixture(scope="module")
def nasty_engine(nasty_lake: Lake) -> Ask:
    """What answers over that lake, each question once."""
    return remembering(engine(nasty_lake))


def engine(lake: Lake) -> Ask:
    def answer(query: NamedQuery, values: Sequence[date]) -> Answer:
        return everything(DuckDBQueries(lake).stream_named(query, values))

    return answer


def told(text: str) -> dict[str, Any]:
    """What a page's script is told."""
    [found] = re.findall(r'<script type="application/json" id="page">(.*?)</script>', text)
    data: dict[str, Any] = json.loads(found)
    return data


def unpacked(source: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a page's source, by the form that its script reads."""
    columns = {
        name: [c["values"][at] for at in c["at"]] if isinstance(c, dict) else c
        for name, c in source["columns"].items()
    }
    return [{name: c[i] for name, c in columns.items()} for i in range(source["rows"])]


# ------------------------------------------------------------------------------- definitions


def test_there_are_four_in_their_order() -> None:
    assert list(DASHBOARDS) == ["executive", "customers", "products", "operations"]


@EACH
def test_each_is_sound_and_every_number_has_a_title_and_a_unit(dashboard: Dashboard) -> None:
    assert list(faults(dashboard)) == []
    for visual in dashboard.visuals:
        assert visual.title, visual
        assert visual.empty, visual
        for value in vars(visual).values():
            for part in value if isinstance(value, tuple) else (value,):
                if isinstance(part, Measure):
                    assert part.unit, visual.title
                if isinstance(part, Measure | Field):
                    assert part.title, visual.title


@EACH
def test_what_is_asked_may_be_asked_on_every_engine(
    dashboard: Dashboard, nasty_lake: Lake, nasty_engine: Ask
) -> None:
    """Queries over queries keep to what Athena and DuckDB answer alike, and have their columns."""
    for source, answered in ask(dashboard, nasty_lake, nasty_engine).by_source.items():
        assert lint(question(source).sql) == []
        assert answered.names == source_columns(source)


SALES = Source("daily_revenue")
ITEM = Measure("orders", "Orders", "orders")
SMALL = Dashboard(
    name="small",
    title="Small",
    audience="For a test.",
    main="Orders",
    dates=Dates("Days", ("order_date",)),
    sections=(Section("All", (Figure(title="Orders", source=SALES, measure=ITEM, change=True),)),),
)


def with_visual(visual: Visual) -> Dashboard:
    return replace(SMALL, main=visual.title, sections=(Section("All", (visual,)),))


def bars(**changes: Any) -> Dashboard:
    given: dict[str, Any] = {
        "title": "Bars",
        "source": Source("department_share"),
        "category": Field("department", "Department"),
        "measures": (Measure("revenue", "Revenue", "money"),),
    }
    return replace(with_visual(Bars(**(given | changes))), dates=None)


@pytest.mark.parametrize(
    ("dashboard", "says"),
    [
        (
            with_visual(Figure(title="A", source=Source("daily_revenu"), measure=ITEM)),
            "no query is named 'daily_revenu'; did you mean daily_revenue?",
        ),
        (
            with_visual(Figure(title="A", source=SALES, measure=replace(ITEM, column="order"))),
            "'A': query daily_revenue answers no column order; did you mean orders?",
        ),
        (
            with_visual(Figure(title="A", source=Source("best_sellers"), measure=ITEM)),
            "query best_sellers has the parameter from_date",
        ),
        (
            with_visual(
                Figure(
                    title="A", source=Source("customers", by=("segmen",), count="n"), measure=ITEM
                )
            ),
            "query customers answers no column segmen; did you mean segment?",
        ),
        (
            replace(SMALL, choices=(Choice("Department", "departmnt", "All"),)),
            "a filter acts on departmnt, which no query answers; there are average_7_days, ",
        ),
        (replace(SMALL, main="Nothing"), "main is 'Nothing', which titles no visual"),
        (
            replace(SMALL, sections=SMALL.sections * 2),
            "two visuals are titled 'Orders'; title them apart",
        ),
        (
            replace(SMALL, dates=None),
            "'Orders': a change needs a day to tell the spans apart, and no date filter acts on it",
        ),
        (
            bars(drill_down=True),
            "'Bars': drills down to department, which nothing is chosen by; add a Choice",
        ),
        (
            bars(selected_by="department"),
            "'Bars': waits for a department, which no drill-down chooses; add one",
        ),
        (
            with_visual(
                Figure(
                    title="A",
                    source=SALES,
                    measure=replace(ITEM, aggregate=Aggregate.FIRST_SEEN),
                )
            ),
            "'A': Orders: first_seen needs since",
        ),
        (
            with_visual(
                Line(
                    title="A",
                    source=Source("monthly_revenue"),
                    x=Field("month", "Month"),
                    measures=(ITEM,),
                    average_days=7,
                )
            ),
            "'A': an average of days is over a column of the date filter, not month",
        ),
        (
            with_visual(
                RankedTable(
                    title="A",
                    source=SALES,
                    fields=(Field("order_date", "Day", texts=(("x", "about {nobody}"),)),),
                )
            ),
            "'A': query daily_revenue answers no column nobody",
        ),
        (
            with_visual(
                RankedTable(
                    title="A", source=SALES, fields=(Field("order_date", "Day", key="order_id"),)
                )
            ),
            "'A': query daily_revenue answers no column order_id",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_there_is_not_is_one_clear_line(dashboard: Dashboard, says: str) -> None:
    assert next(faults(dashboard)).startswith(says)


def test_a_dashboard_more_is_one_file(tmp_path: Path, good_day: Path) -> None:
    """The one that the documentation shows, beside another shop's tables; then with a fault."""
    text = (PROJECT / "docs" / "dashboards.md").read_text()
    example, *_ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    package = tmp_path / "own_tables"
    (package / "dashboards").mkdir(parents=True)
    for room in ("silver", "gold", "mart", "queries"):
        (package / room).symlink_to(PROJECT / "lakehouse_assets" / "tables" / room)
    for folder in (package, package / "dashboards"):
        (folder / "__init__.py").touch()
    file = package / "dashboards" / "baskets.py"
    file.write_text(example)
    house = Lakehouse.copied(
        good_day,
        tmp_path / "shop",
        LAKEHOUSE_TABLES="own_tables",
        PYTHONPATH=os.pathsep.join([str(tmp_path), str(PROJECT)]),
    )
    assert house.ok("dashboards") == f"{house.root}/dashboards/baskets.html: drawn\n"
    drawn = told((house.root / "dashboards" / "baskets.html").read_text())
    assert [visual["kind"] for visual in drawn["visuals"]] == ["Bars"]
    answer = house.rows("SELECT lines, orders FROM views.basket_sizes ORDER BY lines")
    shown = [{n: row[n] for n in ("lines", "orders")} for row in unpacked(drawn["sources"][0])]
    assert shown == answer

    file.write_text(example.replace('"orders", "Orders"', '"order", "Orders"'))
    ended = house("dashboards")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert ended.err.startswith("own_tables/dashboards/baskets.py: 'Orders by how many lines")
    assert "query basket_sizes answers no column order; did you mean orders?" in ended.err

    file.write_text(example)
    (package / "mart").unlink()
    ended = house("dashboards")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "query basket_sizes asks mart.fact_orders, which there is not" in ended.err


def test_a_visual_more_is_one_line_of_that_file(nasty_lake: Lake, nasty_engine: Ask) -> None:
    """Its chart, its rows and its query are on the page, without anything else said of it."""
    more = Line(
        title="Customers",
        source=SALES,
        x=Field("order_date", "Day"),
        measures=(Measure("customers", "Customers", "customers of the day"),),
    )
    [section] = SMALL.sections
    grown = replace(SMALL, sections=(replace(section, visuals=(*section.visuals, more)),))
    before, after = (drawn(d, nasty_lake, nasty_engine) for d in (SMALL, grown))
    assert len(told(after)["visuals"]) == len(told(before)["visuals"]) + 1
    assert told(after)["charts"][-1]["data"] == {"name": "rows"}
    assert after.count("customers of the day") > before.count("customers of the day")


def drawn(dashboard: Dashboard, lake: Lake, answers: Ask) -> str:
    return page(dashboard, ask(dashboard, lake, answers), [dashboard], "stamp", DRAWN)


# --------------------------------------------------------------------------------- the page


@EACH
def test_a_page_holds_what_its_queries_answer(
    dashboard: Dashboard, nasty_lake: Lake, nasty_engine: Ask
) -> None:
    found = told(drawn(dashboard, nasty_lake, nasty_engine))
    answers = ask(dashboard, nasty_lake, nasty_engine)
    assert len(found["sources"]) == len(answers.by_source)
    for source, answered in zip(found["sources"], answers.by_source.values(), strict=True):
        names, rows = everything(
            DuckDBQueries(nasty_lake).stream_named(
                answered.query, [answered.as_of] if answered.as_of else []
            )
        )
        expected = [dict(zip(names, row, strict=True)) for row in rows]
        shown = unpacked(source)
        assert len(shown) == len(expected)
        for mine, theirs in zip(shown, expected, strict=True):
            for name, value in mine.items():
                assert same(value, theirs[name]), (answered.query.name, name)


def same(shown: Any, value: Any) -> bool:
    if isinstance(value, Decimal):
        return Decimal(str(shown)) == value
    return bool(shown == (value.isoformat() if isinstance(value, date) else value))


@EACH
def test_text_from_data_is_no_markup(
    dashboard: Dashboard, nasty_lake: Lake, nasty_engine: Ask
) -> None:
    """A department named <script> opens no element, and closes none."""
    text = drawn(dashboard, nasty_lake, nasty_engine)
    before = text[: text.index('<script type="application/json"')]
    assert "alert(1)" not in before
    assert re.findall(r"</?script[ >]", text).count("<script>") == 2  # library and script
    assert len(re.findall(r"</script", text)) == 3
    assert "<b>" not in text


@EACH
def test_a_page_asks_no_network(dashboard: Dashboard, nasty_lake: Lake, nasty_engine: Ask) -> None:
    """And may not: scripts run by their digests alone, nothing is loaded from anywhere."""
    text = drawn(dashboard, nasty_lake, nasty_engine)
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert "default-src &#39;none&#39;" in policy
    assert policy.count("sha256-") == 2
    assert "unsafe-eval" not in policy
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", markup)


@EACH
def test_an_empty_lake_says_what_it_knows(
    dashboard: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path))
    lake = Settings.load().lake()
    text = drawn(dashboard, lake, engine(lake))
    found = told(text)
    assert "There is nothing to show yet." in text
    assert all(source["rows"] == 0 and source["missing"] for source in found["sources"])
    assert found["lastDay"] is None


def test_one_day_without_a_customer_who_came_back(good_day: Path, tmp_path: Path) -> None:
    house = Lakehouse.copied(good_day, tmp_path)
    house.ok("dashboards")
    text = (house.root / "dashboards" / "customers.html").read_text()
    cohorts = unpacked(told(text)["sources"][-1])
    assert cohorts is not None
    assert (told(text)["firstDay"], told(text)["lastDay"]) == ("2025-04-01", "2025-04-02")


def test_a_year_of_gaps_is_cut_and_said(nasty_lake: Lake, nasty_engine: Ask) -> None:
    """The page's days are those up to the last; that there were earlier ones stands on it."""
    text = drawn(DASHBOARDS["executive"], nasty_lake, nasty_engine)
    assert told(text)["isCut"] is False  # 2025-04-01 to 2026-04-21 are 386 days
    assert "Days 2025-04-01 to 2026-04-21." in text
    later = ask(DASHBOARDS["executive"], nasty_lake, nasty_engine)
    long_ago = replace(later, first_day=date(2020, 1, 1))
    text = page(DASHBOARDS["executive"], long_ago, [], "stamp", DRAWN)
    assert told(text)["isCut"] is True
    assert "Days 2025-04-01 to 2026-04-21; there are earlier days, from 2020-01-01." in text


def test_of_what_is_cut_the_others_choose_no_more(nasty_lake: Lake, nasty_engine: Ask) -> None:
    """New customers are known from the first day of all; a page shows the days that it holds."""
    customers = DASHBOARDS["customers"]
    answers = ask(customers, nasty_lake, nasty_engine)
    long_ago = date(2020, 1, 1)
    whole = Source("new_customers")
    known = answers.by_source[whole]
    row = tuple(long_ago if name == "order_date" else 1 for name in known.names)
    grown = {**answers.by_source, whole: replace(known, rows=[row, *known.rows])}
    found = told(page(customers, Answers(long_ago, answers.last_day, grown), [], "stamp", DRAWN))
    assert (found["isCut"], found["firstDay"]) == (True, "2025-04-01")
    cut = {s.query: f["isCut"] for s, f in zip(grown, found["sources"], strict=True)}
    assert (cut["customer_days"], cut["new_customers"]) == (True, False)


def texts(visual: Visual, marks: list[dict[str, Any]]) -> list[str]:
    """What stands on a visual's chart."""
    spec = chart(visual)
    assert spec
    drawn = spec | {"data": {"name": "rows", "values": marks}, "width": 480}
    return re.findall(r"<text[^>]*>([^<]+)</text>", vl_convert.vegalite_to_svg(drawn))


def test_a_heat_map_keeps_the_order_of_its_axes() -> None:
    """Though its first cell is empty, and a whole row."""
    visual = HeatMap(
        title="Cells",
        source=SALES,
        x=Field("orders", "Across", Form.COUNT),
        y=Field("customers", "Down", Form.COUNT),
        measure=ITEM,
    )
    full = {("7", "b"), ("7", "c"), ("5", "a"), ("5", "b"), ("5", "c")}
    marks = [
        {"c": y, "down": down, "x": x, "across": across, "y": 1, "short": "1"}
        if (y, x) in full
        else {"c": y, "down": down, "x": x, "across": across, "y": None, "short": ""}
        for down, y in enumerate("765")
        for across, x in enumerate("abc")
    ]
    found = texts(visual, marks)
    assert [text for text in found if text in set("abc")] == ["a", "b", "c"]
    assert [text for text in found if text in set("765")] == ["7", "6", "5"]


@pytest.mark.parametrize("days", [1, 2, 3, 4, 9])
def test_a_day_is_labelled_once(days: int) -> None:
    """And no day that there is not."""
    x = Field("order_date", "Day", Form.DAY)
    first = 1_795_651_200_000  # 2026-11-26
    marks = [
        {"x": first + n * 86_400_000, "y": n + 1, "s": "", "average": False, "alone": days == 1}
        for n in range(days)
    ]
    meant = [f"{date(2026, 11, 26) + timedelta(days=n):%-d %b}" for n in range(days)]
    for visual in (
        Line(title="Line", source=SALES, x=x, measures=(ITEM,)),
        Bars(title="Bars", source=SALES, category=x, measures=(ITEM,)),
    ):
        shown = texts(visual, marks)
        assert [text for text in shown if re.fullmatch(r"\d+ [A-Z][a-z]+", text)] == meant


def test_runs_are_numbered_from_the_first(nasty: Lakehouse) -> None:
    rows = nasty.rows("SELECT run_number FROM views.run_history ORDER BY first_seq")
    assert [row["run_number"] for row in rows] == [*range(1, len(rows) + 1)]


def test_the_heaviest_page_is_light_enough() -> None:
    """400 days, each customer-day with every earlier one, a hundred departments: below 3 MB."""
    dashboard = DASHBOARDS["executive"]
    last = date(2026, 11, 28)
    days = [last - timedelta(days=n) for n in reversed(range(400))]
    made: dict[str, list[tuple[Any, ...]]] = {
        "department_days": [
            (day, name, 99_999, 999_999, 999_999.99)
            for day in days
            for name in [None, *(f"Department {n}" for n in range(30))]
        ],
        "customer_days": [
            (day, before, "returning", 9_999) for n, day in enumerate(days) for before in days[:n]
        ],
        "department_lines": [
            (day, f"Department {n}", 999_999, 99_999, 999_999.99) for day in days for n in range(30)
        ],
    }
    answered = {
        source: Answered(
            source,
            question(source),
            last,
            source_columns(source),
            made.get(source.query, []),
            len(made.get(source.query, [])),
        )
        for source in sources(dashboard)
    }
    heavy = page(dashboard, Answers(days[0], last, answered), DASHBOARDS.values(), "stamp", DRAWN)
    assert 1_500_000 < len(heavy.encode()) < MOST_BYTES


# ------------------------------------------------------------------------------------ command


def test_a_page_is_drawn_again_only_where_something_changed(
    nasty_lake: Lake, nasty_engine: Ask, tmp_path: Path
) -> None:
    place = LocalStorage(str(tmp_path))

    def go(dashboard: Dashboard) -> bool:
        done = publish(dashboard, nasty_lake, nasty_engine, place, DASHBOARDS)
        return done.answers is not None

    executive = DASHBOARDS["executive"]
    assert go(executive)
    assert not go(executive)
    changed = replace(executive, title="Owner")
    assert stamp_of(changed, nasty_lake, []) != stamp_of(executive, nasty_lake, [])
    assert go(changed)
    place.write("executive.html", b"cut in h")
    assert go(executive)


@pytest.mark.slow
def test_new_rows_are_a_new_page(good_day: Path, tmp_path: Path) -> None:
    house = Lakehouse.copied(good_day, tmp_path)
    path = f"{house.root}/dashboards/executive.html"
    assert house.ok("dashboards", "executive") == f"{path}: drawn\n"
    assert house.ok("dashboards", "executive") == f"{path}: nothing has changed\n"
    put(house, "orders_more.csv", ORDERS.replace("11,8,", "19,8,"), "2025-04-16")
    house.ok("run")
    assert house.ok("dashboards", "executive") == f"{path}: drawn\n"
    elsewhere = tmp_path / "elsewhere"
    printed = house.ok("dashboards", "products", "--output", str(elsewhere))
    assert printed == f"{elsewhere}/products.html: drawn\n"


def test_one_clear_line(good_day: Path, tmp_path: Path) -> None:
    house = Lakehouse.copied(good_day, tmp_path)
    ended = house.here("dashboards", "executiv")
    assert (ended.code, ended.err) == (
        1,
        "no dashboard is named 'executiv'; did you mean executive?\n",
    )
    file = tmp_path / "a file"
    file.touch()
    ended = house("dashboards", "operations", "--output", str(file))
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "name a folder that can be written" in ended.err


# ------------------------------------------------------------------------------------- assets


@pytest.mark.slow
def test_assets_draw_each_page_once(nasty: Lakehouse, tmp_path: Path) -> None:
    """Each page once, with a picture of its main chart; again only where something changed."""
    days = partitions(date(2024, 1, 1))
    assets = dashboard_assets(days)
    assert [asset.key.path for asset in assets] == [["dashboard", name] for name in DASHBOARDS]
    executive = assets[0]
    shown = {key.to_user_string() for key in executive.asset_deps[executive.key]}
    assert {"gold/daily_sales", "silver/orders", "silver/products"} <= shown

    def draw() -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LAKEHOUSE_ROOT", str(nasty.root))
            settings = Settings.load()
        engine = partial(query_engine, settings)
        pages = DashboardPages(settings.lakehouse, LocalStorage(str(tmp_path)), engine)
        with dg.instance_for_test() as instance:
            done = dg.materialize(
                assets,
                instance=instance,
                resources={"pages": pages},
                partition_key="2025-04-15",
            )
        found = [m for a in assets for m in done.asset_materializations_for_node(a.op.name)]
        return {m.asset_key.path[-1]: dict(m.metadata) for m in found}

    first = draw()
    assert sorted(first) == sorted(DASHBOARDS)
    for name, told in first.items():
        assert (tmp_path / f"{name}.html").stat().st_size == told["bytes"].value
        start, png = str(told["picture"].value).split("base64,")
        assert start.startswith("![")
        assert b64decode(png.removesuffix(")"))[:4] == b"\x89PNG"
        assert len(png) < 140_000
    again = draw()
    assert not any(told["drawn"].value or "picture" in told for told in again.values())


@pytest.mark.slow
@pytest.mark.parametrize("draw", [True, False])
def test_runs_draw_where_the_setting_says_so(good_day: Path, tmp_path: Path, draw: bool) -> None:
    """Among its steps, and by no other means; the tables and receipts are the same either way."""
    house = Lakehouse.copied(good_day, tmp_path, LAKEHOUSE_DRAW=str(draw).lower())
    put(house, "products_more.csv", "product_id,department_id,department,product_name\n3,1,B,C\n")
    printed = house.ok("run")
    assert ("dashboard.executive" in printed) == draw
    assert (house.root / "dashboards" / "executive.html").exists() == draw
    assert "receipts" in printed
