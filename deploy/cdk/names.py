"""What things are called, and how they are tagged. No other module makes up a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import aws_cdk as cdk

from deploy.cdk.config import Environment

PROJECT: Final = "lakehouse"
TOPICS: Final = ("success", "failure", "data-quality", "delay")
"""What people are told of; the settings add each to one ARN."""


@dataclass(frozen=True)
class Names:
    """The names of one environment."""

    environment: Environment

    @property
    def prefix(self) -> str:
        """In front of whatever is unique within an account and region."""
        return f"{PROJECT}-{self.environment.name}"

    def of(self, what: str) -> str:
        """The name of something unique within an account and region."""
        return f"{self.prefix}-{what}"

    def bucket(self, zone: str) -> str:
        """A bucket: raw, processed, deployment, access-logs, trail; replica-raw and so on."""
        return f"{self.environment.owner}-{self.prefix}-{zone}"

    @property
    def job_prefix(self) -> str:
        """What the names of Glue jobs begin by."""
        return f"{self.prefix}-"

    @property
    def catalog_prefix(self) -> str:
        """In front of each Glue database's name, where hyphens are unwelcome."""
        return f"{self.prefix.replace('-', '_')}_"

    @property
    def metrics(self) -> str:
        """The CloudWatch namespace."""
        return "Lakehouse"

    @property
    def replica_key_alias(self) -> str:
        """Alias of the key in the other region."""
        return f"alias/{self.of('replica')}"

    def replica_key_arn(self, account: str) -> str:
        """ARN of that alias, which can be told before the key is there."""
        return f"arn:aws:kms:{self.environment.replica_region}:{account}:{self.replica_key_alias}"


def tag(scope: cdk.App, environment: Environment) -> None:
    """Tag whatever can be tagged, for bills and for policies."""
    for key, value in {"project": PROJECT, "environment": environment.name}.items():
        cdk.Tags.of(scope).add(key, value)
