"""What a person sees and does in the Dagster UI, over GraphQL."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from typing import Any


class DagsterUi:
    """A running webserver with its daemon, asked over GraphQL as the UI in a browser does."""

    def __init__(self, url: str) -> None:
        self.url = url

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

    def ended(self, backfill: str) -> dict[str, Any] | None:
        """How a backfill has ended; None while it has not."""
        found: dict[str, Any] = self.ask(
            "query ($b: String!) { partitionBackfillOrError(backfillId: $b) {"
            " ... on PartitionBackfill { status endTimestamp } } }",
            b=backfill,
        )["partitionBackfillOrError"]
        return found if found["endTimestamp"] else None

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
        return self._newest("assetMaterializations", path)

    def observations(self, *path: str) -> dict[str, dict[str, Any]]:
        """The newest observation's tags and metadata of each partition."""
        return self._newest("assetObservations", path)

    def _newest(self, events: str, path: Sequence[str]) -> dict[str, dict[str, Any]]:
        found = self.ask(
            "query ($k: AssetKeyInput!) { assetOrError(assetKey: $k) { ... on Asset {"
            f" {events}(limit: 50) {{ partition runId tags {{ key value }} metadataEntries {{ label"
            " ... on IntMetadataEntry { intValue } ... on TextMetadataEntry { text }"
            " ... on TableMetadataEntry { table { records } } } } } } }",
            k={"path": path},
        )["assetOrError"][events]
        newest: dict[str, dict[str, Any]] = {}
        for event in reversed(found):
            values = {
                e["label"]: next((e[n] for n in ("intValue", "text", "table") if n in e), None)
                for e in event["metadataEntries"]
            }
            tags = {tag["key"]: tag["value"] for tag in event["tags"]}
            newest[event["partition"]] = {**tags, **values, "run": event["runId"]}
        return newest

    def checks(self, days: Sequence[str], *path: str) -> dict[str, dict[str, str]]:
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
                for day in days
                if span["startKey"] <= day <= span["endKey"]
            }
            for check in found
        }

    def newest(self, *path: str) -> dict[str, dict[str, Any]]:
        """Each check's newest evaluation of any date: what the UI shows of the check."""
        return {
            check["name"]: check["executionForLatestMaterialization"]
            for check in self._checks(
                "executionForLatestMaterialization {"
                " partition evaluation { success severity description } }",
                path,
            )
        }

    def blocking(self, *path: str) -> list[str]:
        """The checks that stop what is downstream."""
        return [check["name"] for check in self._checks("blocking", path) if check["blocking"]]

    def _checks(self, fields: str, path: Sequence[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(
            "query ($k: AssetKeyInput!) { assetNodeOrError(assetKey: $k) { ... on AssetNode {"
            " assetChecksOrError { ... on AssetChecks { checks {"
            f" name {fields} }} }} }} }} }} }}",
            k={"path": path},
        )["assetNodeOrError"]["assetChecksOrError"]["checks"]
        return found

    def column_lineage(self, *path: str) -> dict[str, list[str]]:
        """The columns that each is made from, as the newest materialization has them."""
        [newest] = self.ask(
            "query ($k: AssetKeyInput!) { assetOrError(assetKey: $k) { ... on Asset {"
            " assetMaterializations(limit: 1) { metadataEntries {"
            " ... on TableColumnLineageMetadataEntry { lineage { columnName columnDeps {"
            " assetKey { path } columnName } } } } } } } }",
            k={"path": path},
        )["assetOrError"]["assetMaterializations"]
        return {
            column["columnName"]: [
                f"{'/'.join(dep['assetKey']['path'])}.{dep['columnName']}"
                for dep in column["columnDeps"]
            ]
            for entry in newest["metadataEntries"]
            for column in entry.get("lineage", ())
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
