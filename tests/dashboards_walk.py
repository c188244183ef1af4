"""Walk through the dashboards in Chromium as their readers would, with a picture of each.

    python -m tests.dashboards_walk        # the demo, a shop with all that is hard to show, none
    python -m tests.dashboards_walk ROOT   # a lakehouse that is there already

What stands on a page is held against SQL of its own, asked of the tables. Prints a line for each
check and ends with 1 if any fell short. The pictures, in build/dashboards, are to be looked at.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakehouse_assets.dashboards.page import page as page_of
from lakehouse_assets.dashboards.questions import ask
from lakehouse_assets.dashboards.registry import dashboards
from tests.support import PROJECT
from tests.support.commands import Lakehouse
from tests.support.dashboard_figures import FIGURES, OF_A_DEPARTMENT
from tests.support.dashboard_pages import (
    Report,
    Walk,
    choose_days,
    csv_rows,
    is_to_be_had,
    redrawn,
    same_number,
    span,
    unfit,
    visual,
)
from tests.support.nasty_shop import MARKUP, as_it_was, nasty_shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

_OUT: Final = PROJECT / "build" / "dashboards"
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
_NAMES: Final = ("executive", "customers", "products", "operations")
_WIDTHS: Final = (375, 768, 1280)
_THEMES: Final = ("light", "dark")
_DRAWN_MS: Final = 2_000
_MOST_BYTES: Final = 3_000_000
_AVERAGED_DAYS: Final = 7


# ------------------------------------------------------------------------------- what is tried


def looks(walk: Walk) -> None:
    """Each page at three widths in both themes: drawn in time, nothing beside it, no barrier."""
    from axe_playwright_python.sync_playwright import Axe

    for name in _NAMES:
        size = (walk.root / "dashboards" / f"{name}.html").stat().st_size
        walk.report.check(name, f"weighs {size / 1e6:.1f} MB", size if size > _MOST_BYTES else None)
        for theme in _THEMES:
            for width in _WIDTHS:
                with walk.page(name, width, theme) as page:
                    where = f"{name} {width} {theme}"
                    took = page.evaluate("Number(document.documentElement.dataset.drawnAt)")
                    late = took if took > _DRAWN_MS else None
                    walk.report.check(where, f"drawn after {took / 1000:.1f} s", late)
                    beside = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    walk.report.check(where, "nothing beside the screen", beside > 0 and beside)
                    walk.report.check(where, "all can be read", unfit(page))
                    found = Axe().run(page).response["violations"]
                    grave = [
                        f"{v['id']}: {v['nodes'][0]['html'][:120]}"
                        for v in found
                        if v["impact"] in ("serious", "critical")
                    ]
                    walk.report.check(where, "axe finds nothing serious", grave)
                    page.screenshot(path=_OUT / f"{name}-{width}-{theme}.png", full_page=True)


def figures(walk: Walk) -> None:
    """Each figure for three spans of days, by SQL of its own; of a department, too."""
    for name, meant in FIGURES.items():
        with walk.page(name) as page:
            first, last = page.get_attribute("#from", "min"), page.get_attribute("#to", "max")
            assert first
            assert last
            spans = [span(page), (first, last), (last, last)]
            for a, b in spans:
                choose_days(page, a, b)
                for title, sql in meant.items():
                    same_number(walk, page, name, title, sql.format(a=a, b=b))
            if name == "executive":
                department = page.locator("select.choice option").nth(1).inner_text()
                with redrawn(page):
                    page.select_option("select.choice", label=department)
                for title, sql in OF_A_DEPARTMENT.items():
                    text = sql.format(a=a, b=b, of=department)
                    same_number(walk, page, name, title, text, f" of {department}")


def answers(walk: Walk) -> None:
    """Rows of charts and tables are those of the named queries, in their CSV."""
    with walk.page("executive") as page:
        days = [page.get_attribute("#from", "min"), page.get_attribute("#to", "max")]
        choose_days(page, str(days[0]), str(days[1]))
        shown = csv_rows(page, "Revenue of each day")
        at = {row["Day"]: row for row in shown}
        for row in walk.rows("daily_revenue"):
            line = at[str(row["order_date"])]
            each, average = Decimal(line["each day"]), line["7-day average"]
            wrong = each != row["revenue"]
            if (row["order_date"] - date.fromisoformat(str(days[0]))).days < _AVERAGED_DAYS - 1:
                wrong |= bool(average)  # of fewer days there is none
            else:
                wrong |= abs(Decimal(average) - row["average_7_days"]) > Decimal("0.006")
            if wrong:
                walk.report.check("executive", "revenue by day", f"{line}, not {row}")
        walk.report.check("executive", f"{len(shown)} days are daily_revenue's", not shown)
        shares: dict[str, Decimal] = {}
        for row in walk.rows("department_share"):  # by number and name
            shares[row["department"]] = shares.get(row["department"], Decimal(0)) + row["revenue"]
        of_departments = (row.values() for row in csv_rows(page, "Revenue by department"))
        walk.report.same(
            "executive",
            "revenue of each department, and of orders without lines",
            {department: Decimal(revenue) for department, revenue in of_departments},
            shares,
        )
    last = str(walk.value("SELECT max(order_date) FROM silver.orders"))
    with walk.page("customers") as page:
        customers = walk.rows("customers", as_of=last)
        counted: dict[str, int] = {}
        for row in customers:
            counted[row["segment"]] = counted.get(row["segment"], 0) + 1
        shown_segments = {
            row["Segment"]: int(row["Customers (customers)"])
            for row in csv_rows(page, "Customers by segment")
        }
        walk.report.same("customers", "segments are customers'", shown_segments, counted)
        past = str(date.fromisoformat(last) - timedelta(days=28))
        of_segments = visual(page, "Customers by segment")
        walk.report.same(
            "customers",
            "a change is told where there is something to compare with",
            "Beside each bar" in of_segments.locator(".scope").inner_text(),
            bool(walk.rows("customers", as_of=past)),
        )
        across = visual(page, "Customers by recency and frequency")
        scores = across.locator(".role-axis").nth(0).locator(".role-axis-label text")
        shown_scores = [int(text) for text in scores.all_text_contents()]
        walk.report.same("customers", "scores in order", shown_scores, sorted(shown_scores))
        high = [row for row in customers if row["churn_risk"] == "high"]
        leaving = (
            visual(page, "Customers with a high churn risk")
            .locator(".value")
            .get_attribute("data-value")
        )
        walk.report.same(
            "customers", "customers with a high churn risk", int(leaving or 0), len(high)
        )
        shares_of_cohorts(walk, page, "customers")
    with walk.page("products") as page:
        best = csv_rows(page, "Best sellers, and their places before")
        meant = walk.rows("product_sales", as_of=last)[: len(best)]
        walk.report.same(
            "products",
            "best sellers are product_sales'",
            [
                (as_it_was(r["Product"]), Decimal(r["Allocated revenue (shop's currency)"]))
                for r in best
            ],
            [(r["product_name"], r["revenue"]) for r in meant],
        )
        points = csv_rows(page, "Bought again, against units")
        walk.report.same(
            "products",
            "a point is a product, two of one name are two",
            sorted((as_it_was(r["Product"]), int(r["Units (order lines)"])) for r in points),
            sorted(
                (r["product_name"], r["units"])
                for r in walk.rows("product_sales", as_of=last)[: len(points)]
            ),
        )
    with walk.page("operations") as page:
        runs = csv_rows(page, "Latest runs")
        meant = walk.rows("run_history")[: len(runs)]
        walk.report.same(
            "operations",
            "runs are run_history's",
            [r["Run"] for r in runs],
            [r["run_id"] for r in meant],
        )
        names = page.locator(".role-legend-label text").all_text_contents()
        walk.report.check("operations", "names are words", [n for n in names if "_" in n])


def hands(walk: Walk) -> None:
    """What people do: filters, drill-downs, by keyboard too, export, print, the theme."""
    with walk.page("executive") as page:
        bar = visual(page, "Revenue by department").locator(".chart svg .mark-rect path").first
        with redrawn(page):
            bar.click()
        chosen = page.locator("select.choice").evaluate("s => s.selectedOptions[0].text")
        best = csv_rows(page, "Revenue by department")
        walk.report.same(
            "executive",
            "a bar chooses its department",
            [as_it_was(r["Department"]) for r in best],
            [chosen],
        )
        said = visual(page, "Customers").locator(".scope").inner_text()
        walk.report.same(
            "executive",
            "what it does not act on is said",
            said,
            "Not by department: this is of all.",
        )
        with redrawn(page):
            page.click("#reset")
        walk.report.same("executive", "reset", page.input_value("select.choice"), "")
        last = date.fromisoformat(span(page)[1])
        for days in (4, 2, 1):
            choose_days(page, str(last - timedelta(days=days - 1)), str(last))
            walk.report.check("executive", f"{days} days can be read", unfit(page))
        with redrawn(page):
            page.click("#reset")
        article = visual(page, "New and returning customers of each day")
        height = article.bounding_box()["height"]
        visual(page, "Revenue of each day").locator("summary").click()
        grown = article.bounding_box()["height"] > height
        walk.report.check("executive", "what is opened grows alone", grown)
        with page.expect_download() as download:
            visual(page, "Revenue of each day").locator("button.png").click()
        png = Path(download.value.path()).read_bytes()
        walk.report.check("executive", "a chart as PNG", png[:4] != b"\x89PNG" or len(png) < 5_000)
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        with redrawn(page):
            page.click("#theme")
        now = page.evaluate("getComputedStyle(document.body).backgroundColor")
        walk.report.check("executive", "the switch changes the theme", dark == now)
        page.keyboard.press("Home")
        page.emulate_media(media="print")
        hidden = page.locator("#print").is_hidden() and page.locator("nav").is_hidden()
        walk.report.check("executive", "print leaves the controls out", not hidden)
        pdf = page.pdf(path=_OUT / "executive.pdf")
        walk.report.check("executive", "print", not pdf.startswith(b"%PDF"))
        page.emulate_media(media="screen")
        page.locator("details summary").first.focus()
        page.keyboard.press("Enter")
        walk.report.check(
            "executive",
            "the query opens by keyboard",
            not page.locator("details[open] pre").first.is_visible(),
        )
    with walk.page("customers") as page:
        leaving = visual(page, "Customers with a high or medium churn risk, by spend")
        if leaving.locator(".empty").is_visible():
            walk.report.check("customers", "nobody may leave, and it says so", None)
            return
        first = leaving.locator("td button").first
        customer = first.inner_text()
        first.focus()
        with redrawn(page):
            page.keyboard.press("Enter")
        whole = {r["What"]: r["Value"] for r in csv_rows(page, "The customer in full")}
        meant = next(r for r in walk.rows("customer_360") if str(r["user_id"]) == customer)
        walk.report.same(
            "customers", "a customer in full, by keyboard", int(whole["Orders"]), meant["orders"]
        )
        orders = csv_rows(page, "Their latest orders")
        walk.report.check("customers", "their orders", len(orders) != min(20, meant["orders"]))
        page.screenshot(path=_OUT / "customers-chosen.png", full_page=True)
        with redrawn(page):
            page.locator(".pick").click()
        walk.report.check("customers", "and back", is_to_be_had(page, "The customer in full"))


def shares_of_cohorts(walk: Walk, page: Page, where: str) -> int:
    """Hold who ordered in later months against the query's answer; how many shares there are."""
    last = str(walk.value("SELECT max(order_date) FROM silver.orders"))
    shares_of = {
        (str(r["cohort"]), str(r["months_since"])): r["retained_share"]
        for r in walk.rows("cohorts", as_of=last)
    }
    title = "Share of each month's new customers who ordered in a later month"
    shown = csv_rows(page, title) if is_to_be_had(page, title) else []
    for row in shown:
        cohort, months, share = row.values()
        wrong = abs(Decimal(share) - shares_of[cohort, months]) > Decimal("0.00006")
        if wrong:
            walk.report.check(where, f"cohort {cohort} after {months}", share)
    walk.report.same(where, "shares are cohorts'", len(shown), len(shares_of))
    return len(shares_of)


def nasty(walk: Walk) -> None:
    """Text that is markup stays text; a gap, billions, formulas."""
    with walk.page("executive") as page:
        options = page.locator("select.choice option").all_inner_texts()
        walk.report.check("nasty", "a department named <script>", MARKUP not in options)
        walk.report.same("nasty", "no element comes of it", page.locator("script").count(), 3)
        first, last = page.get_attribute("#from", "min"), page.get_attribute("#to", "max")
        choose_days(page, str(first), str(last))
        revenue = visual(page, "Revenue")
        walk.report.same("nasty", "billions", revenue.locator(".value").inner_text(), "9B")
        walk.report.same(
            "nasty",
            "and to the cent",
            revenue.locator(".unit").inner_text(),
            "9,000,000,025.04 shop's currency",
        )
        page.screenshot(path=_OUT / "nasty-executive.png", full_page=True)
        choose_days(page, "2025-10-01", "2025-10-07")
        empty = visual(page, "Revenue of each day").locator(".empty")
        walk.report.same("nasty", "a gap", empty.inner_text(), "No orders in these days.")
        page.screenshot(path=_OUT / "nasty-gap.png", full_page=True)
    with walk.page("products") as page:
        best = csv_rows(page, "Best sellers, and their places before")
        walk.report.check(
            "nasty", "no formula in CSV", [r for r in best if r["Product"].startswith("=")]
        )
        page.screenshot(path=_OUT / "nasty-products.png", full_page=True)
    with walk.page("customers") as page:
        some = shares_of_cohorts(walk, page, "nasty")
        walk.report.check("nasty", "who came back in a later month", not some)
    with walk.page("operations", 375) as page:
        waits = visual(page, "Files that are held or cannot be read").inner_text()
        walk.report.check(
            "nasty", "what waits, with its command", "lakehouse withdraw" not in waits
        )
        page.screenshot(path=_OUT / "nasty-operations.png", full_page=True)


def cut(walk: Walk) -> None:
    """A page that lacks days says so, and does not call those that it has all."""
    executive = dashboards()["executive"]
    answers = ask(executive, walk.lake, walk.ask)
    text = page_of(
        executive,
        replace(answers, first_day=date(2020, 1, 1)),
        [executive],
        "stamp",
        datetime.now(UTC),
    )
    (walk.root / "dashboards" / "cut.html").write_text(text)
    with walk.page("cut") as page:
        spans = page.locator("#preset option").all_inner_texts()
        walk.report.check("cut", "all days that are here", "All days here" not in spans)
        choose_days(page, *(str(page.get_attribute("#from", end)) for end in ("min", "max")))
        said = visual(page, "Revenue").locator(".changes").inner_text()
        walk.report.same("cut", "no change", said, "The days before are not all on this page.")


def empty(walk: Walk) -> None:
    """Pages of a lakehouse without a table say so."""
    for name in _NAMES:
        with walk.page(name) as page:
            said = page.locator(".empty:visible").all_inner_texts()
            walk.report.check(
                "empty", f"{name} says so", not any("No numbers yet" in s for s in said)
            )
            page.screenshot(path=_OUT / f"empty-{name}.png", full_page=True)


# --------------------------------------------------------------------------------------- begin


def attempted(attempt: Callable[[Walk], None], walk: Walk) -> None:
    """Try something; where a page lacks what is looked for, that is told like any other fault."""
    try:
        attempt(walk)
    except Exception as error:  # noqa: BLE001 - Playwright's own types are loaded late
        walk.report.check(attempt.__name__, "goes through", f"{type(error).__name__}: {error}")


def demo(root: Path) -> None:
    """What `make demo` leaves."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "DAGSTER_"))}
    subprocess.run(
        [sys.executable, "-m", "data.demo"],
        cwd=PROJECT,
        env={**kept, "LAKEHOUSE_ROOT": str(root)},
        check=True,
    )


def main(given: str | None = None) -> int:
    """Walk, and print what was tried. Returns the exit code."""
    from playwright.sync_api import sync_playwright

    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("no Chromium here; install one, such as Debian's package chromium")
    shutil.rmtree(_OUT, ignore_errors=True)
    _OUT.mkdir(parents=True)
    report = Report()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        root = Path(given).absolute() if given else Path(folder) / "demo" / "lakehouse"
        if not given:
            demo(root)
        tried: list[Callable[[Walk], None]] = [looks, figures, answers, hands]
        for attempt in tried:
            attempted(attempt, Walk(chromium, root, report))
        if not given:
            shop = nasty_shop(Path(folder) / "nasty")
            shop.ok("dashboards")
            attempted(nasty, Walk(chromium, shop.root, report))
            attempted(figures, Walk(chromium, shop.root, report))
            attempted(cut, Walk(chromium, shop.root, report))
            none = Lakehouse(Path(folder) / "none")
            (none.root / "raw").mkdir(parents=True)
            none.ok("dashboards")
            attempted(empty, Walk(chromium, none.root, report))
        chromium.close()
    code = report.printed()
    print(f"pictures in {_OUT.relative_to(PROJECT)}")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
