"""What a change would do, and what somebody did by hand: told by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from deploy import drift
from deploy.difference import difference


def templates(folder: Path, resources: dict[str, Any]) -> Path:
    (folder / "dev").mkdir(parents=True)
    (folder / "dev" / "shop-lake.template.json").write_text(json.dumps({"Resources": resources}))
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://unknown-account/us-east-1",
        "properties": {"templateFile": "shop-lake.template.json"},
        "displayName": "shop-lake",
    }
    (folder / "dev" / "manifest.json").write_text(json.dumps({"artifacts": {"shop-lake": stack}}))
    return folder


def test_what_comes_goes_and_changes_is_named(tmp_path: Path) -> None:
    queue, topic = {"Type": "AWS::SQS::Queue"}, {"Type": "AWS::SNS::Topic"}
    before = templates(tmp_path / "before", {"Old": queue, "Kept": topic, "Set": queue})
    changed = {**queue, "Properties": {"DelaySeconds": 7}}
    after = templates(tmp_path / "after", {"New": topic, "Kept": topic, "Set": changed})
    page = difference(before, after)
    assert "### dev: shop-lake" in page
    assert "- comes: `New` (AWS::SNS::Topic)" in page
    assert "- **goes**: `Old` (AWS::SQS::Queue)" in page
    assert "- changes: `Set` (AWS::SQS::Queue)" in page
    assert "Kept`" not in page
    assert '+    "DelaySeconds": 7' in page


def test_the_same_templates_change_nothing(tmp_path: Path) -> None:
    same = templates(tmp_path, {"Q": {"Type": "AWS::SQS::Queue"}})
    assert difference(same, same) == "## What changes on AWS\n\nNothing.\n"


def test_a_long_page_is_cut_and_says_so(tmp_path: Path) -> None:
    before = templates(tmp_path / "before", {})
    many = {f"Q{n}": {"Type": "AWS::SQS::Queue", "Metadata": "x" * 200} for n in range(5000)}
    page = difference(before, templates(tmp_path / "after", many))
    assert len(page.encode()) < 2**20
    assert page.endswith("Cut here.\n")


@pytest.mark.parametrize(
    ("status", "found", "lines"),
    [
        ("DETECTION_COMPLETE", [], "Nothing has drifted.\n"),
        (
            "DETECTION_COMPLETE",
            [("Bucket", "MODIFIED", "/Tags/0"), ("Queue", "DELETED", None)],
            "shop-lake: Bucket: MODIFIED /Tags/0\nshop-lake: Queue: DELETED\n",
        ),
        ("DETECTION_FAILED", [], "shop-lake: could not be compared in full: no right to look\n"),
    ],
)
def test_what_somebody_changed_by_hand_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: str,
    found: list[tuple[str, str, str | None]],
    lines: str,
) -> None:
    folder = templates(tmp_path, {})
    monkeypatch.setattr(drift, "_PAUSE_SECONDS", 0)
    client = boto3.client(
        "cloudformation", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    of_one = {"StackId": "s", "StackDriftDetectionId": "d", "Timestamp": "2026-01-01T00:00:00Z"}
    with Stubber(client) as stub:
        stub.add_response(
            "detect_stack_drift", {"StackDriftDetectionId": "d"}, {"StackName": "shop-lake"}
        )
        for answer in ("DETECTION_IN_PROGRESS", status):
            told = {
                **of_one,
                "DetectionStatus": answer,
                "DetectionStatusReason": "no right to look",
            }
            stub.add_response("describe_stack_drift_detection_status", told)
        drifted = [
            {
                "StackId": "s",
                "LogicalResourceId": name,
                "ResourceType": "t",
                "StackResourceDriftStatus": state,
                "Timestamp": "2026-01-01T00:00:00Z",
                "PropertyDifferences": [
                    {
                        "PropertyPath": path,
                        "ExpectedValue": "a",
                        "ActualValue": "b",
                        "DifferenceType": "NOT_EQUAL",
                    }
                ]
                if path
                else [],
            }
            for name, state, path in found
        ]
        stub.add_response("describe_stack_resource_drifts", {"StackResourceDrifts": drifted})
        assert drift.main(folder / "dev") == int(lines != "Nothing has drifted.\n")
        stub.assert_no_pending_responses()
    assert capsys.readouterr().out == lines
