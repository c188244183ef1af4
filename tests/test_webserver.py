"""A webserver and a daemon as `lakehouse ui` starts them, driven over GraphQL as the UI does."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lakehouse_assets.dashboards.registry import dashboards
from lakehouse_assets.tables.registry import table_ids
from tests.support import SAMPLE
from tests.support.dagster_ui import DagsterUi
from tests.support.processes import until
from tests.support.servers import lakehouse_ui, own_port

DATASETS = ("products", "orders", "order_items")
FIRST, RANGE = "2025-04-15", ["2025-04-16", "2025-04-17", "2025-04-18"]
DAYS = [FIRST, *RANGE]
BROKEN = "orders/2025-04-17/orders_broken.csv"
HELD = "products/2025-04-18/products_held.csv"


def land_sample(root: Path) -> None:
    """The sample, and beside its good files one that cannot be read and one that is held."""
    for dataset in DATASETS:
        shutil.copytree(SAMPLE / dataset, root / "raw" / dataset)
    (root / "raw" / BROKEN).write_text("order_num;order_id;user_id\n1;2;3\n")
    rows = [f"{900_000 + i},1,,nothing" for i in range(120)]
    text = "\n".join(["product_id,department_id,department,product_name", *rows])
    (root / "raw" / HELD).write_text(text + "\n")


def true_fates() -> Counter[tuple[str, str, str]]:
    """Rows of the sample by dataset, batch date and fate once everything has landed."""
    with (SAMPLE / "truth.csv").open() as file:
        return Counter((r["dataset"], r["batch_date"], r["fate"]) for r in csv.DictReader(file))


@dataclass(frozen=True)
class Shown:
    """A UI after a run of one date and a backfill of a range."""

    ui: DagsterUi
    root: Path
    log: Path
    paths: list[list[str]]
    """The keys of all assets that can be materialized."""
    single: str
    """The id of the run of one date."""
    backfill: str
    runs: list[dict[str, Any]]
    """The backfill's runs."""


@pytest.fixture(scope="class")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Everything that a person starts, done. In the end the server ends when told to."""
    folder = tmp_path_factory.mktemp("ui")
    root, log = folder / "lakehouse", folder / "server.log"
    land_sample(root)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "DAGSTER_"))}
    # The sensor leaves these files alone: what runs here is what a person starts.
    environment = {**kept, "LAKEHOUSE_ROOT": str(root), "LAKEHOUSE_SETTLE_SECONDS": "86400"}
    environment["LAKEHOUSE_DRAW"] = "true"
    with own_port() as port, lakehouse_ui(log, environment, port):
        ui = DagsterUi(f"http://127.0.0.1:{port}")
        nodes = ui.ask("{ assetNodes { assetKey { path } isMaterializable } }")["assetNodes"]
        paths = [node["assetKey"]["path"] for node in nodes if node["isMaterializable"]]
        single = ui.launch("lakehouse", {"dagster/partition": FIRST})
        backfill = ui.backfill(paths, RANGE)

        def done() -> list[dict[str, Any]]:
            runs = ui.runs_of(backfill)
            over = runs and all(r["status"] in ("SUCCESS", "FAILURE", "CANCELED") for r in runs)
            return runs if over else []

        runs = until(done, 600, "the backfill ends")
        yield Shown(ui, root, log, paths, single, backfill, runs)
    complains_of_nothing(log)


@pytest.mark.slow
class TestTheUi:
    """After a run of one date and a backfill of the others."""

    def test_the_code_location_loads_and_everything_in_it_reaches_the_ui(
        self, shown: Shown
    ) -> None:
        [location] = shown.ui.ask(
            "{ workspaceOrError { ... on Workspace { locationEntries { name"
            " locationOrLoadError { __typename ... on PythonError { message } } } } } }"
        )["workspaceOrError"]["locationEntries"]
        loaded = location["locationOrLoadError"]
        assert (location["name"], loaded["__typename"]) == ("lakehouse", "RepositoryLocation"), (
            loaded
        )
        more = ("archive", "catalog", "receipts", *dashboards())
        assert len(shown.paths) == len(table_ids()) + len(more)

    def test_a_run_of_one_date_succeeds(self, shown: Shown) -> None:
        assert shown.ui.run(shown.single)["status"] == "SUCCESS"

    def test_a_backfill_of_a_range_is_one_run(self, shown: Shown) -> None:
        [run] = shown.runs
        assert run["tags"]["dagster/asset_partition_range_start"] == RANGE[0]
        assert run["tags"]["dagster/asset_partition_range_end"] == RANGE[-1]

    def test_bad_files_fail_the_run_at_its_last_step_with_a_clear_line_each(
        self, shown: Shown
    ) -> None:
        run = shown.ui.run(shown.runs[0]["runId"])
        assert run["status"] == "FAILURE"
        steps = {s["stepKey"]: s["status"] for s in run["stepStats"]}
        assert len(steps) == len(shown.paths)
        assert [s for s, status in steps.items() if status != "SUCCESS"] == ["receipts"]
        assert max(run["stepStats"], key=lambda s: s["startTime"])["stepKey"] == "receipts"
        [failure] = [e for e in run["eventConnection"]["events"] if "error" in e]
        first, *lines = failure["error"]["message"].strip().splitlines()
        assert "Everything that can be read is published." in first
        assert len(lines) == 2
        assert f"{BROKEN}: looks like semicolon-separated" in lines[0]
        assert f"{HELD}: held: 120 of 120 rows break a rule" in lines[1]
        for line in lines:
            assert "; " in line

    def test_a_backfill_with_bad_files_has_failed_on_their_dates_alone(self, shown: Shown) -> None:
        """Dagster counts dates that are not materialized, and not how its runs have ended."""
        ended = until(lambda: shown.ui.ended(shown.backfill), 120, "the backfill has a status")
        assert ended["status"] == "COMPLETED_FAILED"
        bad = {RANGE[1], RANGE[2]}
        for path in shown.paths:
            there = {*DAYS} - (bad if path == ["receipts"] else set())
            assert set(shown.ui.materializations(*path)) == there, path
        assert set(shown.ui.observations("receipts")) == bad

    @pytest.mark.parametrize("dataset", DATASETS)
    def test_each_date_has_its_own_counts(self, shown: Shown, dataset: str) -> None:
        truth = true_fates()
        silver = shown.ui.materializations("silver", dataset)
        bronze = shown.ui.materializations("bronze", dataset)
        for day in RANGE:
            fates = {f: n for (d, b, f), n in truth.items() if (d, b) == (dataset, day)}
            assert bronze[day]["dagster/partition_row_count"] == sum(fates.values())
            assert silver[day]["dagster/partition_row_count"] == fates["published"]
            assert silver[day]["rejected"] == fates.get("rejected", 0)
            assert silver[day]["superseded"] == fates.get("superseded", 0)
            assert silver[day]["duplicates"] == fates.get("duplicate", 0)
        assert len({silver[d]["dagster/partition_row_count"] for d in silver}) > 2

    def test_held_rows_are_counted_on_their_date(self, shown: Shown) -> None:
        assert shown.ui.materializations("bronze", "products")[RANGE[2]]["held"] == 120

    def test_gold_tells_what_it_holds_and_no_date_claims_it_for_itself(self, shown: Shown) -> None:
        gold = shown.ui.materializations("gold", "daily_sales")
        assert gold[RANGE[0]]["dagster/row_count"] > gold[FIRST]["dagster/row_count"]
        assert "dagster/partition_row_count" not in gold[RANGE[0]]

    def test_golds_dates_tell_what_came_with_each(self, shown: Shown) -> None:
        gold = shown.ui.materializations("gold", "daily_sales")
        for dataset in ("orders", "order_items"):
            silver = shown.ui.materializations("silver", dataset)
            came = {day: gold[day][f"published_{dataset}"] for day in RANGE}
            assert came == {day: silver[day]["published"] for day in RANGE}
            assert len({*came.values()}) > 1

    def test_a_preview_shows_rows(self, shown: Shown) -> None:
        gold = shown.ui.materializations("gold", "daily_sales")
        assert "order_date" in json.loads(gold[FIRST]["preview"]["records"][0])

    def test_raw_files_are_observed_with_a_version_of_what_is_in_force(self, shown: Shown) -> None:
        assert shown.ui.materializations("raw", "orders") == {}
        raw = shown.ui.observations("raw", "orders")
        assert len({raw[day]["dagster/data_version"] for day in raw}) == len(DAYS)
        files = {day: len([*(shown.root / "raw/orders" / day).iterdir()]) for day in DAYS}
        assert {day: raw[day]["files"] for day in raw} == files

    def test_receipts_name_every_file_of_their_date_and_no_other(self, shown: Shown) -> None:
        receipts = shown.ui.materializations("receipts") | shown.ui.observations("receipts")
        for day in DAYS:
            rows = map(json.loads, receipts[day]["receipts"]["records"])
            files = (shown.root / "raw").glob(f"*/{day}/*")
            assert {row["file"] for row in rows} == {
                file.relative_to(shown.root / "raw").as_posix() for file in files
            }

    def test_every_check_of_a_table_shows_an_outcome_on_every_date(self, shown: Shown) -> None:
        for path in (p for p in shown.paths if p != ["catalog"]):
            for name, statuses in shown.ui.checks(DAYS, *path).items():
                assert set(statuses) == {*DAYS}, (path, name)
                assert set(statuses.values()) <= {"SUCCEEDED", "FAILED"}, (path, name)

    @pytest.mark.parametrize(
        ("check", "dataset", "bad", "file"),
        [
            ("structure", "orders", RANGE[1], BROKEN),
            ("reject_rate", "products", RANGE[2], HELD),
        ],
    )
    def test_a_bad_file_fails_its_check_on_its_date_and_nowhere_else(
        self, shown: Shown, check: str, dataset: str, bad: str, file: str
    ) -> None:
        for other in DATASETS:
            found = shown.ui.evaluations(check, "bronze", other)
            errors = {d for d, e in found.items() if not e["success"] and e["severity"] == "ERROR"}
            # Without a date stands the outcome of the whole run.
            assert errors == ({bad, None} if other == dataset else set()), other
        outcomes = shown.ui.evaluations(check, "bronze", dataset)
        assert outcomes[bad]["description"].startswith(f"{file}: ")
        # Other files have columns that nobody expects: warnings of theirs are apart.
        assert outcomes[None]["description"].startswith(f"1 error ({bad})")
        assert f"  \n{bad}: {file}: " in outcomes[None]["description"]
        statuses = shown.ui.checks(DAYS, "bronze", dataset)[check]
        assert (statuses[bad], statuses[FIRST]) == ("FAILED", "SUCCEEDED")

    def test_a_checks_outcomes_differ_by_date_in_words_for_people(self, shown: Shown) -> None:
        found = shown.ui.evaluations("foreign_key_order_id", "silver", "order_items")
        assert found[FIRST]["success"]
        told = {found[day]["description"] for day in RANGE}
        assert len(told) == len(RANGE)
        for text in told:
            assert text.startswith("rejected rows: order_id.foreign_key ")

    def test_what_a_check_shows_is_the_worst_of_its_dates(self, shown: Shown) -> None:
        """The UI takes `failed` from the dates and all else from the newest evaluation."""
        for path in shown.paths:
            for name, found in shown.ui.newest(*path).items():
                if path == ["catalog"]:
                    continue
                dates = shown.ui.evaluations(name, *path)
                failing = {e["severity"] for d, e in dates.items() if d and not e["success"]}
                worst = "ERROR" if "ERROR" in failing else "WARN"
                assert found["partition"] is None, (path, name)
                assert found["evaluation"]["success"] == (not failing), (path, name)
                if failing:
                    assert found["evaluation"]["severity"] == worst, (path, name)

    def test_column_lineage_is_with_the_newest_materialization(self, shown: Shown) -> None:
        lineage = shown.ui.column_lineage("gold", "daily_sales")
        assert lineage["revenue"] == ["silver/orders.total_amount"]

    def test_only_audits_are_blocking(self, shown: Shown) -> None:
        found = {name for path in shown.paths for name in shown.ui.blocking(*path)}
        assert found == {"keys_unique", "grain_unique"}

    def test_the_server_has_nothing_to_complain_about(self, shown: Shown) -> None:
        complains_of_nothing(shown.log)


def complains_of_nothing(log: Path) -> None:
    text = log.read_text()
    assert "Warning" not in text
    assert "Traceback" not in text
