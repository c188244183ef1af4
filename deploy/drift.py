"""What of an environment's stacks is not as its templates say: someone changed it by hand.

    python -m deploy.drift build/templates/dev

Asks CloudFormation to compare, and names each resource with the properties that differ. Ends with 1
where there is one, or where a stack cannot be compared.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3

from deploy.release import Stack, stacks

_PAUSE_SECONDS: Final = 5.0


def drift(stack: Stack) -> Iterator[str]:
    """A line for each resource of a stack that differs from its template."""
    cloudformation = boto3.client("cloudformation", region_name=stack.region)
    asked = cloudformation.detect_stack_drift(StackName=stack.name)["StackDriftDetectionId"]
    while True:
        found = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=asked)
        if found["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            break
        time.sleep(_PAUSE_SECONDS)
    if found["DetectionStatus"] == "DETECTION_FAILED":
        reason = found.get("DetectionStatusReason", "no reason given")
        yield f"{stack.name}: could not be compared in full: {reason}"
    yield from _resources(cloudformation, stack.name)


def _resources(cloudformation: Any, name: str) -> Iterator[str]:
    more: dict[str, str] = {}
    while True:
        page = cloudformation.describe_stack_resource_drifts(
            StackName=name, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"], **more
        )
        for found in page["StackResourceDrifts"]:
            paths = [d["PropertyPath"] for d in found.get("PropertyDifferences", ())]
            state = found["StackResourceDriftStatus"]
            yield f"{name}: {found['LogicalResourceId']}: {state} {' '.join(paths)}".rstrip()
        if "NextToken" not in page:
            return
        more = {"NextToken": page["NextToken"]}


def main(templates: Path) -> int:
    """Name all that has drifted; 1 where something has."""
    lines = [line for stack in stacks(templates) for line in drift(stack)]
    sys.stdout.write("".join(f"{line}\n" for line in lines) or "Nothing has drifted.\n")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
