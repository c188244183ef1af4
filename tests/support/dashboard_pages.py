"""Dashboards' pages in a browser, for whoever walks through them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakehouse_assets.queries.engine import Answer
from lakehouse_assets.queries.named import NamedQuery, named
from lakehouse_assets.store.lake import Lake
from resources.arrow_values import everything
from resources.duckdb_engine import DuckDBQueries
from resources.duckdb_engine import query as answered
from resources.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_PATIENCE_MS: Final = 30_000


@dataclass
class Report:
    """What was tried, and what came of it."""

    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def check(self, where: str, what: str, wrong: object) -> None:
        """One check; ``wrong`` is what is wrong, if anything."""
        self.lines.append((where, what, str(wrong) if wrong else ""))

    def same(self, where: str, what: str, shown: object, meant: object) -> None:
        """Whether a page shows what it should."""
        self.check(where, what, None if shown == meant else f"{shown!r}, not {meant!r}")

    def printed(self) -> int:
        """Print all as a table; returns the exit code."""
        for where, what, wrong in self.lines:
            print(f"{'FAIL' if wrong else 'ok  '}  {where:<28}  {what}")
            if wrong:
                print(f"      {wrong[:600]}")
        failed = sum(bool(wrong) for *_, wrong in self.lines)
        print(f"{len(self.lines) - failed} of {len(self.lines)} checks are as they should be")
        return int(bool(failed) or not self.lines)


@dataclass
class Walk:
    """A lakehouse's pages in a browser."""

    browser: Browser
    root: Path
    report: Report

    @property
    def lake(self) -> Lake:
        os.environ["LAKEHOUSE_ROOT"] = str(self.root)
        return Settings.load().lake()

    @contextmanager
    def page(self, name: str, width: int = 1280, theme: str = "light") -> Iterator[Page]:
        """A dashboard's page, drawn, without a network; its errors are told."""
        given: dict[str, Any] = {
            "viewport": {"width": width, "height": 900},
            "color_scheme": theme,
            "offline": True,
        }
        context = self.browser.new_context(**given)
        page, errors = context.new_page(), list[str]()
        page.set_default_timeout(_PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: _told(m, errors))
        page.on("dialog", lambda dialog: _refuse(dialog, errors))
        page.goto((self.root / "dashboards" / f"{name}.html").as_uri())
        drawn(page, 1)
        yield page
        self.report.check(f"{self.root.parent.name}/{name} {width} {theme}", "no errors", errors)
        context.close()

    def value(self, sql: str) -> Any:
        """The one value of a query on the tables."""
        _, [[found]] = answered(self.lake, sql)
        return found

    def ask(self, query: NamedQuery, given: Sequence[date]) -> Answer:
        """What a query answers."""
        return everything(DuckDBQueries(self.lake).stream_named(query, given))

    def rows(self, name: str, **given: str) -> list[dict[str, Any]]:
        """Rows of a named query."""
        query = named(name)
        names, rows = self.ask(query, query.values(given))
        return [dict(zip(names, row, strict=True)) for row in rows]


def _told(message: Any, errors: list[str]) -> None:
    if message.type in ("error", "warning"):
        errors.append(message.text)


def _refuse(dialog: Any, errors: list[str]) -> None:
    errors.append(f"a dialog: {dialog.message}")
    dialog.dismiss()


def drawn(page: Page, times: int) -> None:
    """Wait until a page has been drawn so often."""
    page.wait_for_function(f"document.documentElement.dataset.drawn >= {times}")


@contextmanager
def redrawn(page: Page) -> Iterator[None]:
    """Do something after which the page is drawn again."""
    before = int(page.evaluate("document.documentElement.dataset.drawn"))
    yield
    drawn(page, before + 1)


def visual(page: Page, title: str) -> Any:
    """The element of a visual, by its title."""
    return page.locator("article").filter(has=page.get_by_role("heading", name=title, exact=True))


def csv_rows(page: Page, title: str) -> list[dict[str, str]]:
    """A visual's rows, as its CSV has them."""
    with page.expect_download() as download:
        visual(page, title).locator("button.csv").click()
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


_UNFIT: Final = """() => {
  const found = [];
  for (const chart of document.querySelectorAll(".chart")) {
    const texts = (role) => [...chart.querySelectorAll(`.role-${role} text`)];
    const end = chart.getBoundingClientRect().right;
    found.push(...texts("legend-label").filter((t) => t.getBoundingClientRect().right > end)
      .map((t) => `cut: ${t.textContent}`));
    const labels = texts("axis-label").map((t) => t.textContent);
    const days = labels.filter((text) => /^[0-9]+ [A-Z]/.test(text));
    if (new Set(days).size < days.length) found.push(`twice: ${days}`);
  }
  for (const cell of document.querySelectorAll("td.day")) {
    const range = document.createRange();
    range.selectNodeContents(cell);
    if (range.getClientRects().length > 1) found.push(`broken: ${cell.textContent}`);
  }
  return found;
}"""


def unfit(page: Page) -> list[str]:
    """Names of a legend that are cut, days that an axis has twice, days broken over lines."""
    found: list[str] = page.evaluate(_UNFIT)
    return found


def span(page: Page) -> tuple[str, str]:
    """The days that are chosen."""
    return page.input_value("#from"), page.input_value("#to")


def choose_days(page: Page, first: str, last: str) -> None:
    """Choose a span of days by its ends."""
    for name, day in (("#from", first), ("#to", last)):
        if page.input_value(name) != day:
            with redrawn(page):
                page.fill(name, day)


def same_number(walk: Walk, page: Page, name: str, title: str, sql: str, of: str = "") -> None:
    """Whether a figure is what SQL says."""
    shown = visual(page, title).locator(".value").get_attribute("data-value")
    meant = walk.value(sql)
    known = None if meant is None or meant != meant else Decimal(str(meant))  # noqa: PLR0124 - NaN
    near = abs(Decimal(shown or 0) - (known or 0)) < Decimal("0.000001")
    a, b = span(page)
    walk.report.check(name, f"{title}{of}, {a} to {b}", None if near else f"{shown}, not {meant}")


def is_to_be_had(page: Page, title: str) -> bool:
    """Whether there is anything to be had of a visual."""
    return bool(visual(page, title).locator("button.csv").is_enabled())
