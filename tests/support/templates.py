"""Every environment's templates, written once for all tests of a run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy.release import Stack, stacks
from tests.support import PROJECT


def write(folder: Path) -> Path:
    """Write all of them, as `make templates` does; it fails on a finding of the policy check."""
    # -O: CDK asks typeguard to check each argument, by rules that the newest one reads anew.
    program = [sys.executable, "-O", "-m", "deploy.cdk.app", "--out", str(folder)]
    done = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


_CHANGED = """
import sys
from dataclasses import replace
from pathlib import Path
from deploy.cdk.app import synthesize
from deploy.cdk.config import ENVIRONMENTS, Balancer, WarehouseKind

synthesize(replace(ENVIRONMENTS["prod"], {changes}), Path(sys.argv[1]))
"""


def prod_with(changes: str, folder: Path) -> Templates:
    """Prod's templates with fields of its `Environment` changed, as Python says it."""
    program = [sys.executable, "-O", "-c", _CHANGED.format(changes=changes), str(folder)]
    done = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Templates("prod", folder)


@dataclass(frozen=True)
class Templates:
    """An environment's templates in a folder."""

    name: str
    folder: Path

    @cached_property
    def stacks(self) -> list[Stack]:
        """In the order in which they are deployed."""
        return stacks(self.folder)

    def part(self, name: str) -> dict[str, Any]:
        """A stack's template."""
        file = self.folder / f"lakehouse-{self.name}-{name}.template.json"
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Every resource: its stack's part, its id, and what it is."""
        for stack in self.stacks:
            part = stack.name.removeprefix(f"lakehouse-{self.name}-")
            for logical, resource in self.part(part)["Resources"].items():
                yield part, logical, resource

    def all(self, part: str, kind: str) -> list[dict[str, Any]]:
        """The properties of every resource of a type in a stack."""
        found = self.part(part)["Resources"].values()
        return [r.get("Properties", {}) for r in found if r["Type"] == kind]

    def named(self, part: str, kind: str, key: str) -> dict[str, dict[str, Any]]:
        """The same by a property, with what CloudFormation fills in cut off its text."""
        return {text(properties[key]): properties for properties in self.all(part, kind)}


def text(value: Any) -> str:
    """A value with CloudFormation's functions written out: ``raw-<AWS::AccountId>``."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(text, parts))
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::ImportValue": name}:
            return f"<{name}>"
        case _:
            return str(value)


def listed(value: Any) -> list[Any]:
    """What a policy has once or several times, as a list."""
    return value if isinstance(value, list) else [value]
