"""Walk through the UI in Chromium as a person would, with a picture of each page.

    python -m tests.ui_walk            # the demo, and a held file, in a folder of its own
    python -m tests.ui_walk URL        # a UI that is open already

It looks for what each page is to say, names what it does not find, and then ends with 1. The
pictures, in build/ui, are to be looked at. Playwright drives the system's Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support import PROJECT
from tests.support.dagster_ui import DagsterUi
from tests.support.processes import until
from tests.support.servers import lakehouse_ui, own_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

_OUT: Final = PROJECT / "build" / "ui"
_PATIENCE_MS: Final = 60_000
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class Stop:
    """A page, what it must say, and what is clicked on before that."""

    name: str
    path: str
    says: tuple[str, ...]
    clicks: tuple[str, ...] = ()


def stops(newest: str) -> list[Stop]:
    """The way through the UI; ``newest`` is the demo's last batch date."""
    gold, bronze = "/assets/gold/daily_sales", "/assets/bronze/products"
    return [
        Stop("01-overview", "/overview", ("lakehouse",)),
        Stop("02-jobs", "/jobs", ("lakehouse", "maintenance")),
        Stop("03-runs", "/runs", ("Success", "started_by")),
        Stop("04-catalog", "/assets", ("daily_sales", "order_items")),
        Stop("05-lineage", "/asset-groups", ("bronze", "silver", "gold")),
        Stop("06-asset", gold, ("A partition is a batch date", "revenue")),
        Stop("07-partitions", f"{gold}?view=partitions", (newest,)),
        Stop("08-events", f"{gold}?view=events", ("published_orders",)),
        Stop("09-checks", f"{gold}?view=checks", ("grain_unique", "Passed")),
        Stop("10-failed-check", f"{bronze}?view=checks&checkDetail=reject_rate", ("1 error",)),
        Stop("11-column-lineage", gold, ("← silver.orders.total_amount",)),
        Stop("12-materialize", gold, ("Launch",), ("Materialize…",)),
        Stop("13-plots", gold, ("published_order_items",), ("Plots",)),
        Stop("14-a-date-that-waits", "/assets/receipts?view=events", ("observed",)),
        Stop("15-backfill-of-a-held-file", "/runs?view=backfills", ("Fail",)),
    ]


@contextmanager
def demo_ui() -> Iterator[str]:
    """A UI on the demo's tables; then a held file, taken in by a person's backfill."""
    with tempfile.TemporaryDirectory() as folder, own_port() as port:
        root = Path(folder) / "lakehouse"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "DAGSTER_"))}
        environment = {**kept, "LAKEHOUSE_ROOT": str(root), "LAKEHOUSE_SETTLE_SECONDS": "86400"}
        subprocess.run(
            [sys.executable, "-m", "data.demo"], cwd=PROJECT, env=environment, check=True
        )
        newest = yesterday()
        held = root / "raw" / "products" / newest / "products_held.csv"
        rows = [f"{900_000 + i},1,,nothing" for i in range(120)]
        held.write_text("\n".join(["product_id,department_id,department,product_name", *rows]))
        url = f"http://127.0.0.1:{port}"
        with lakehouse_ui(Path(folder) / "server.log", environment, port):
            ui = DagsterUi(url)
            nodes = ui.ask("{ assetNodes { assetKey { path } isMaterializable } }")["assetNodes"]
            paths = [node["assetKey"]["path"] for node in nodes if node["isMaterializable"]]
            backfill = ui.backfill(paths, [newest])

            def ended() -> list[dict[str, Any]]:
                runs = ui.runs_of(backfill)
                done = runs and all(r["status"] in ("SUCCESS", "FAILURE") for r in runs)
                return runs if done else []

            until(ended, 600, "the backfill ends")
            yield url


def yesterday() -> str:
    """The demo's last batch date."""
    return str(datetime.now(UTC).date() - timedelta(days=1))


def walk(page: Page, url: str) -> list[str]:
    """Visit every stop; returns what was not found."""
    missing = []
    for stop in stops(yesterday()):
        page.goto(url + stop.path, timeout=_PATIENCE_MS)
        try:
            for label in stop.clicks:
                page.get_by_text(label).first.click(timeout=_PATIENCE_MS)
            for text in stop.says:
                page.get_by_text(text).first.wait_for(timeout=_PATIENCE_MS)
        except Exception as error:  # noqa: BLE001 - Playwright's own types are loaded late
            missing.append(f"{stop.name} ({stop.path}): {str(error).splitlines()[0]}")
        page.wait_for_timeout(1500)  # what comes in slowly is still drawn
        page.screenshot(path=_OUT / f"{stop.name}.png")
    return missing


def main(url: str | None = None) -> int:
    """Walk, and say what is missing. Returns the exit code."""
    from playwright.sync_api import sync_playwright

    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("no Chromium here; install one, such as Debian's package chromium")
    _OUT.mkdir(parents=True, exist_ok=True)
    with nullcontext(url) if url else demo_ui() as at, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        missing = walk(chromium.new_page(viewport={"width": 1500, "height": 1000}), at)
        chromium.close()
    for line in missing:
        print(line)
    print(f"{len(missing)} stop(s) fell short; pictures in {_OUT.relative_to(PROJECT)}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
