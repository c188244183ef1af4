"""A webserver and a daemon as `lakehouse ui` starts them, driven over GraphQL as the UI does."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import PROJECT, SAMPLE
from tests.support.processes import end_group, until

DATASETS = ("products", "orders", "order_items")
GOLD = ("customer_insights", "daily_sales", "department_analytics", "product_performance")
FIRST, RANGE = "2025-04-15", ["2025-04-16", "2025-04-17", "2025-04-18"]
BROKEN = "orders/2025-04-17/orders_broken.csv"
HELD = "products/2025-04-18/products_held.csv"

pytestmark = pytest.mark.timeout(600)


class Server:
    """A running webserver with its daemon."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Answer a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert not found.get("errors"), found["errors"]
        data: dict[str, Any] = found["data"]
        return data

    def launch(self, job: str, tags: dict[str, str]) -> str:
        """Start a run of a job; returns its id."""
        parameters = {
            "mode": "default",
            "selector": {
                "repositoryLocationName": "lakehouse",
                "repositoryName": "__repository__",
                "pipelineName": job,
            },
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        found = self.ask(
            "mutation ($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename"
            " ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }",
            p=parameters,
        )["launchRun"]
        assert found["__typename"] == "LaunchRunSuccess", found
        run_id: str = found["run"]["runId"]
        return run_id

    def backfill(self, assets: list[list[str]], dates: list[str]) -> str:
        """Start a backfill; returns its id."""
        parameters = {
            "assetSelection": [{"path": path} for path in assets],
            "partitionNames": dates,
            "allPartitions": False,
            "tags": [],
        }
        found = self.ask(
            "mutation ($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {"
            " __typename ... on LaunchBackfillSuccess { backfillId }"
            " ... on PythonError { message } } }",
            p=parameters,
        )["launchPartitionBackfill"]
        assert found["__typename"] == "LaunchBackfillSuccess", found
        backfill_id: str = found["backfillId"]
        return backfill_id

    def runs_of(self, backfill: str) -> list[dict[str, Any]]:
        """The runs that a backfill has started so far."""
        found = self.ask(
            "query ($b: String!) { partitionBackfillOrError(backfillId: $b) {"
            " ... on PartitionBackfill { runs(limit: 50) { runId status tags { key value } } } } }",
            b=backfill,
        )["partitionBackfillOrError"]
        runs: list[dict[str, Any]] = found["runs"]
        return [{**run, "tags": {t["key"]: t["value"] for t in run["tags"]}} for run in runs]

    def run(self, run_id: str) -> dict[str, Any]:
        """Status and steps of a run."""
        found: dict[str, Any] = self.ask(
            "query ($r: ID!) { runOrError(runId: $r) { ... on Run {"
            " status stepStats { stepKey status startTime }"
            " eventConnection(limit: 1000) { events { __typename"
            " ... on ExecutionStepFailureEvent { stepKey error { message } } } } } } }",
            r=run_id,
        )["runOrError"]
        return found

    def materializations(self, *path: str) -> dict[str, dict[str, Any]]:
        """The newest materialization's metadata of each partition."""
        found = self.ask(
            "query ($k: AssetKeyInput!) { assetOrError(assetKey: $k) { ... on Asset {"
            " assetMaterializations(limit: 50) { partition runId metadataEntries { label"
            " ... on IntMetadataEntry { intValue } ... on TextMetadataEntry { text }"
            " ... on MarkdownMetadataEntry { mdStr } } } } } }",
            k={"path": path},
        )["assetOrError"]["assetMaterializations"]
        newest: dict[str, dict[str, Any]] = {}
        for event in reversed(found):
            values = {
                e["label"]: next((e[n] for n in ("intValue", "text", "mdStr") if n in e), None)
                for e in event["metadataEntries"]
            }
            newest[event["partition"]] = {**values, "run": event["runId"]}
        return newest

    def checks(self, *path: str) -> dict[str, dict[str, str]]:
        """Each check's status by partition, as the UI's partition bar shows it."""
        found = self.ask(
            "query ($k: AssetKeyInput!) { assetNodeOrError(assetKey: $k) { ... on AssetNode {"
            " assetChecksOrError { ... on AssetChecks { checks { name partitionStatuses {"
            " ... on AssetCheckTimePartitionStatuses { ranges { startKey endKey status } }"
            " } } } } } } }",
            k={"path": path},
        )["assetNodeOrError"]["assetChecksOrError"]["checks"]
        return {
            check["name"]: {
                day: span["status"]
                for span in check["partitionStatuses"]["ranges"]
                for day in [FIRST, *RANGE]
                if span["startKey"] <= day <= span["endKey"]
            }
            for check in found
        }

    def evaluations(self, check: str, *path: str) -> dict[str | None, dict[str, Any]]:
        """Each partition's newest evaluation of a check; that of a whole run stands at None."""
        found = self.ask(
            "query ($k: AssetKeyInput!, $n: String!) {"
            " assetCheckExecutions(assetKey: $k, checkName: $n, limit: 50) { partition status"
            " evaluation { success severity description } } }",
            k={"path": path},
            n=check,
        )["assetCheckExecutions"]
        return {e["partition"]: e["evaluation"] for e in reversed(found)}


@contextmanager
def served(root: Path, log: Path) -> Iterator[Server]:
    """`lakehouse ui` on a lake of its own; whatever it started is gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "DAGSTER_"))}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "lakehouse_assets.cli", "ui", "--port", str(port)],
            cwd=PROJECT,
            # The sensor leaves these files alone: what runs here is what a person starts.
            env={**kept, "LAKEHOUSE_ROOT": str(root), "LAKEHOUSE_SETTLE_SECONDS": "86400"},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Where the tests run in the background the signal would be ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
    try:
        server = Server(port)

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            return bool(urllib.request.urlopen(f"{server.url}/server_info", timeout=5))

        until(ready, 180, "the webserver answers")
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            end_group(process.pid)


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


@pytest.mark.slow
def test_the_ui_runs_backfills_and_shows_every_date(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    root = tmp_path / "lakehouse"
    land_sample(root)
    log = tmp_path / "server.log"
    with served(root, log) as server:
        with subtests.test("the code location loads, and everything in it reaches the UI"):
            [location] = server.ask(
                "{ workspaceOrError { ... on Workspace { locationEntries { name"
                " locationOrLoadError { __typename ... on PythonError { message } } } } } }"
            )["workspaceOrError"]["locationEntries"]
            loaded = location["locationOrLoadError"]
            assert (location["name"], loaded["__typename"]) == (
                "lakehouse",
                "RepositoryLocation",
            ), loaded
        nodes = server.ask("{ assetNodes { assetKey { path } groupName isMaterializable } }")
        paths = [n["assetKey"]["path"] for n in nodes["assetNodes"] if n["isMaterializable"]]
        tables = 2 * len(DATASETS) + len(GOLD)
        assert len(paths) == tables + len(("archive", "catalog", "receipts"))

        single = server.launch("lakehouse", {"dagster/partition": FIRST})
        backfill = server.backfill(paths, RANGE)

        def done() -> list[dict[str, Any]]:
            runs = server.runs_of(backfill)
            over = runs and all(r["status"] in ("SUCCESS", "FAILURE", "CANCELED") for r in runs)
            return runs if over else []

        runs = until(done, 400, "the backfill ends")

        with subtests.test("a run of one date"):
            assert server.run(single)["status"] == "SUCCESS"

        with subtests.test("a backfill of a range is one run"):
            [run] = runs
            assert run["tags"]["dagster/asset_partition_range_start"] == RANGE[0]
            assert run["tags"]["dagster/asset_partition_range_end"] == RANGE[-1]

        with subtests.test("bad files fail the run, at its last step, with a clear line each"):
            run = server.run(runs[0]["runId"])
            assert run["status"] == "FAILURE"
            steps = {s["stepKey"]: s["status"] for s in run["stepStats"]}
            assert len(steps) == len(paths)
            assert [s for s, status in steps.items() if status != "SUCCESS"] == ["receipts"]
            assert max(run["stepStats"], key=lambda s: s["startTime"])["stepKey"] == "receipts"
            [failure] = [e for e in run["eventConnection"]["events"] if "error" in e]
            lines = failure["error"]["message"].strip().splitlines()
            assert len(lines) == 2
            assert f"{BROKEN}: missing column(s)" in lines[0]
            assert f"{HELD}: held: 120 of 120 rows break a rule" in lines[1]
            for line in lines:
                assert "; " in line

        with subtests.test("everything is materialized on every date, bad files or not"):
            for path in paths:
                assert set(server.materializations(*path)) == {FIRST, *RANGE}, path

        truth = true_fates()
        with subtests.test("each date has its own counts"):
            for dataset in DATASETS:
                silver = server.materializations("silver", dataset)
                bronze = server.materializations("bronze", dataset)
                for day in RANGE:
                    fates = {f: n for (d, b, f), n in truth.items() if (d, b) == (dataset, day)}
                    assert bronze[day]["dagster/partition_row_count"] == sum(fates.values())
                    assert silver[day]["dagster/partition_row_count"] == fates["published"]
                    assert silver[day]["rejected"] == fates.get("rejected", 0)
                    assert silver[day]["superseded"] == fates.get("superseded", 0)
                    assert silver[day]["duplicates"] == fates.get("duplicate", 0)
                assert len({silver[d]["dagster/partition_row_count"] for d in silver}) > 2
            assert server.materializations("bronze", "products")[RANGE[2]]["held"] == 120

        with subtests.test("gold tells what it holds, and no date claims it for itself"):
            gold = server.materializations("gold", "daily_sales")
            assert gold[RANGE[0]]["dagster/row_count"] > gold[FIRST]["dagster/row_count"]
            assert "dagster/partition_row_count" not in gold[RANGE[0]]
            assert "order_date" in gold[FIRST]["preview"]

        with subtests.test("raw files have events of their own"):
            raw = server.materializations("raw", "orders")
            files = {d: len([*(root / "raw/orders" / d).iterdir()]) for d in [FIRST, *RANGE]}
            assert {d: raw[d]["files"] for d in raw} == files

        with subtests.test("receipts name every file of their date, and no other"):
            receipts = server.materializations("receipts")
            for day in [FIRST, *RANGE]:
                for file in (root / "raw").glob("*/*/*"):
                    name = file.relative_to(root / "raw").as_posix()
                    assert (name in receipts[day]["receipts"]) == (file.parent.name == day)

        with subtests.test("every check of a table shows an outcome on every date"):
            for path in (p for p in paths if p != ["catalog"]):
                for name, statuses in server.checks(*path).items():
                    assert set(statuses) == {FIRST, *RANGE}, (path, name)
                    assert set(statuses.values()) <= {"SUCCEEDED", "FAILED"}, (path, name)

        with subtests.test("a bad file fails its check on its date, and nowhere else"):
            for check, dataset, bad, file in (
                ("structure", "orders", RANGE[1], BROKEN),
                ("reject_rate", "products", RANGE[2], HELD),
            ):
                for other in DATASETS:
                    found = server.evaluations(check, "bronze", other)
                    errors = [
                        d for d, e in found.items() if not e["success"] and e["severity"] == "ERROR"
                    ]
                    # Without a date stands the outcome of the whole run.
                    assert errors == ([bad, None] if other == dataset else []), (check, other)
                outcomes = server.evaluations(check, "bronze", dataset)
                assert outcomes[bad]["description"].startswith(f"{file}: ")
                assert outcomes[None]["description"].startswith(f"1 of 3 dates fail; {bad}: ") or (
                    check == "structure"  # other files have columns that nobody expects
                )
                assert server.checks("bronze", dataset)[check][bad] == "FAILED"
                assert server.checks("bronze", dataset)[check][FIRST] == "SUCCEEDED"

        with subtests.test("a check's outcomes differ by date, in words for people"):
            found = server.evaluations("foreign_key_order_id", "silver", "order_items")
            assert found[FIRST]["success"]
            told = {found[day]["description"] for day in RANGE}
            assert len(told) == len(RANGE)
            for text in told:
                assert text.startswith("rejected rows: order_id.foreign_key ")

    with subtests.test("the server ends when told to, and has nothing to complain about"):
        text = log.read_text()
        assert "Shutting down Dagster services" in text
        assert "Warning" not in text
        assert "Traceback" not in text
