"""The whole of an environment.

    python -m deploy.cdk.app [--environment dev] [--out build/templates]

writes the templates of one environment (all, unless named), each into a folder of its own.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aws_cdk as cdk
import cdk_nag

from deploy.cdk.access import Access
from deploy.cdk.catalog import Catalog
from deploy.cdk.config import ENVIRONMENTS, Environment
from deploy.cdk.events import Events
from deploy.cdk.foundation import Foundation
from deploy.cdk.network import Network
from deploy.cdk.orchestration import Orchestration
from deploy.cdk.processing import Processing
from deploy.cdk.protection import Protection, Replica
from deploy.cdk.query import Query
from deploy.cdk.registry import Registry
from deploy.cdk.watch import Watch

# Ways of CDK that a new project has, of those that change anything here.
CONTEXT: Final = {
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/aws-s3:createDefaultLoggingPolicy": True,
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
    "@aws-cdk/core:checkSecretUsage": True,
    "aws:cdk:enable-path-metadata": False,
    "aws:cdk:version-reporting": False,
}


@dataclass(frozen=True)
class Stacks:
    """The stacks of an environment, in the order in which they are deployed."""

    access: Access
    replica: Replica
    foundation: Foundation
    registry: Registry
    network: Network
    catalog: Catalog
    processing: Processing
    events: Events
    watch: Watch
    query: Query
    orchestration: Orchestration
    protection: Protection


def stacks(app: cdk.App, environment: Environment) -> Stacks:
    """Every stack of an environment. Each is given those that it builds upon."""
    replica = Replica(app, environment)
    foundation = Foundation(app, environment)
    foundation.add_stack_dependency(replica)
    network = Network(app, environment, foundation)
    events = Events(app, environment, foundation)
    registry = Registry(app, environment, foundation)
    orchestration = Orchestration(app, environment, foundation, network, events, registry)
    return Stacks(
        access=Access(app, environment),
        replica=replica,
        foundation=foundation,
        registry=registry,
        network=network,
        catalog=Catalog(app, environment, foundation),
        processing=Processing(app, environment, foundation, network),
        events=events,
        watch=Watch(app, environment, foundation, events),
        query=Query(app, environment, foundation),
        orchestration=orchestration,
        protection=Protection(app, environment, foundation, events, orchestration),
    )


def synthesize(environment: Environment, out: Path) -> Path:
    """Write an environment's templates, and the report of the policy check, into a folder."""
    shutil.rmtree(out, ignore_errors=True)
    app = cdk.App(outdir=str(out), context=CONTEXT, analytics_reporting=False)
    stacks(app, environment)
    cdk.Validations.of(app).add_plugins(
        cdk_nag.AwsSolutionsChecks(app, write_suppressions_to_cloud_formation=True)
    )
    app.synth()
    return out


def main() -> None:
    """Write the templates that the arguments name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--environment", choices=ENVIRONMENTS, help="only this one")
    parser.add_argument("--out", type=Path, default=Path("build", "templates"))
    asked = parser.parse_args()
    for name, environment in ENVIRONMENTS.items():
        if asked.environment in {None, name}:
            sys.stdout.write(f"{synthesize(environment, asked.out / name)}\n")


if __name__ == "__main__":
    main()
