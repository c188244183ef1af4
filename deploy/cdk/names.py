"""What things are called, and the tags that they carry: the only place that decides either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from deploy.cdk.config import Environment

PRODUCT: Final = "lakehouse"
WILDCARDS: Final = "lakehouse:wildcards"
"""Metadata of a resource whose policy has a ``*``: why."""
METRICS: Final = "Lakehouse"
"""CloudWatch namespace of the figures of runs."""
GUARDDUTY_ROLE: Final = "aws-service-role/guardduty.amazonaws.com/AWSServiceRoleForAmazonGuardDuty"
"""Made by GuardDuty as it is turned on.
https://docs.aws.amazon.com/guardduty/latest/ug/slr-permissions.html
"""
DAEMON_IS_STILL: Final = "daemon-is-still"
"""The alarm that nobody takes the hints of new files; by it the standby may start."""
ZONES: Final = ("raw", "processed", "deployment")
"""The buckets that hold the lake; ``access-logs`` and ``trail`` stand beside them."""
BY_COLUMN: Final = ("silver", "gold", "mart")
"""Layers whose tables people see by columns: of these Lake Formation decides, not IAM alone."""


def of(environment: Environment, thing: str) -> str:
    """The name of a thing that is there once in an environment, such as ``lakehouse-dev-raw``."""
    return f"{PRODUCT}-{environment.name}-{thing}"


def bucket(environment: Environment, zone: str, account: str, *, replica: bool = False) -> str:
    """A bucket's name; with the account, because all accounts share one space of names."""
    return of(environment, f"{zone}{'-replica' if replica else ''}-{account}")


def glue_job_prefix(environment: Environment) -> str:
    """What the names of Glue jobs begin by: LAKEHOUSE_GLUE_JOB_PREFIX."""
    return of(environment, "")


def topic_prefix(environment: Environment) -> str:
    """What ``-success``, ``-failure``, ``-data-quality`` and ``-delay`` are added to."""
    return f"{PRODUCT}-{environment.name}"


def catalog_prefix(environment: Environment) -> str:
    """In front of each Glue database's name: LAKEHOUSE_CATALOG_PREFIX."""
    return f"{PRODUCT}_{environment.name}_"


def findings_rule(environment: Environment) -> str:
    """The rule that tells people of serious security findings."""
    return of(environment, "findings")


def log_group(environment: Environment, source: str) -> str:
    """A log group's name."""
    return f"/{PRODUCT}/{environment.name}/{source}"


def tags(environment: Environment, part: str) -> Mapping[str, str]:
    """What every resource of a stack is tagged with."""
    return {
        "Project": PRODUCT,
        "Environment": environment.name,
        "Part": part,
        "ManagedBy": "cdk",
        "DataClass": "customer" if part in {"foundation", "replica"} else "internal",
    }
