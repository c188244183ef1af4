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
from deploy.cdk.analysts import Analysts
from deploy.cdk.catalog import Catalog
from deploy.cdk.config import ENVIRONMENTS, Environment
from deploy.cdk.database import Database
from deploy.cdk.events import Events
from deploy.cdk.foundation import Foundation
from deploy.cdk.guards import Guards
from deploy.cdk.network import Network
from deploy.cdk.orchestration import Orchestration
from deploy.cdk.processing import Processing
from deploy.cdk.protection import Protection, Replica
from deploy.cdk.query import Query
from deploy.cdk.quicksight import QuickSight
from deploy.cdk.registry import Registry
from deploy.cdk.warehouse import Warehouse
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
    processing: Processing | None
    events: Events
    watch: Watch
    query: Query
    warehouse: Warehouse | None
    database: Database
    orchestration: Orchestration
    analysts: Analysts
    protection: Protection
    guards: Guards | None
    quicksight: QuickSight | None


def stacks(app: cdk.App, environment: Environment) -> Stacks:
    """Every stack of an environment. Each is given those that it builds upon."""
    replica = Replica(app, environment)
    foundation = Foundation(app, environment)
    foundation.add_stack_dependency(replica)
    network = Network(app, environment, foundation)
    events = Events(app, environment, foundation)
    registry = Registry(app, environment, foundation)
    warehouse = Warehouse(app, environment, foundation, network) if environment.warehouse else None
    database = Database(app, environment, foundation, network)
    orchestration = Orchestration(
        app, environment, foundation, network, database, events, registry, warehouse
    )
    catalog = Catalog(app, environment, foundation)
    analysts = Analysts(app, environment, foundation)
    for named in (catalog, orchestration):  # their tables and roles, which it knows by name
        analysts.add_stack_dependency(named)
    query = Query(app, environment, foundation)
    return Stacks(
        access=Access(app, environment),
        replica=replica,
        foundation=foundation,
        registry=registry,
        network=network,
        catalog=catalog,
        # Where it is not guarded, the tables' work is done by each run's own task.
        processing=Processing(app, environment, foundation, network)
        if environment.guarded
        else None,
        events=events,
        watch=Watch(app, environment, foundation, events),
        query=query,
        warehouse=warehouse,
        database=database,
        orchestration=orchestration,
        analysts=analysts,
        protection=Protection(app, environment, foundation, database),
        guards=Guards(app, environment, foundation, events) if environment.account_guards else None,
        quicksight=_quicksight(app, environment, foundation, query, analysts),
    )


def _quicksight(
    app: cdk.App,
    environment: Environment,
    foundation: Foundation,
    *before: cdk.Stack,
) -> QuickSight | None:
    """The dashboards in QuickSight, where somebody is to see them there."""
    if environment.quicksight is None:
        return None
    found = QuickSight(app, environment, foundation, environment.quicksight)
    for stack in before:  # the workgroup, and the tables' places, which it knows by name
        found.add_stack_dependency(stack)
    return found


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
