"""What an environment costs: its templates' counts times a list of prices.

    python -m deploy.cost build/templates [--page docs/cost.md]

prints the tables, or puts them in their place in the page. What templates cannot say (how much is
logged, how large a batch is) is assumed here, each with why.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

from deploy.cdk.config import WAREHOUSE_NODES, WAREHOUSE_RPUS, WarehouseKind

PRICES: Final = Path(__file__).with_name("prices.toml")
HOURS: Final = 730
DAYS: Final = 365 / 12
_BEGIN, _END = "<!-- of deploy/cost.py -->\n", "<!-- to here -->\n"

# Of what happens while nothing comes.
NIGHT_MINUTES: Final = 5
"""The task of the night's maintenance."""
LOOK: Final = {"s3_put": 1, "s3_get": 2}
WHOLE_LOOK: Final = {"s3_put": 35, "s3_get": 260}
"""Requests of an idle look, and of a whole one: tests/aws/test_idle_look.py counts them."""
LOOKS_A_DAY: Final = 24 * 4 + 24 * 6
"""The sensor's every 15 minutes, and those for files that are late, every ten."""
WHOLE_LOOKS_A_DAY: Final = 3
"""At two in the morning, and each sensor's first one after the night's maintenance."""
POLLS_A_DAY: Final = 24 * 360
LOGS_GB: Final = 0.5
"""Of each task that always runs, with its share of the flow log."""
IMAGE_GB, BACKUP_GB, LAKE_GB = 3, 5, 5
INSIGHTS: Final = 12
"""Metrics that Container Insights makes of a cluster, of each service and each kind of task."""
CRAWL_DPU_HOURS: Final = 2 * 10 / 60
"""Two DPUs, ten minutes at least."""
REPLICATION_METRICS: Final = 3
CONFIG_ITEMS: Final = 2
"""Of each resource in a month: recorded once, and changed once."""
SECURITY_CHECKS: Final = 400 * DAYS
GUARDDUTY_EVENTS: Final = 1_000_000

# Of a million items a month: a run each day, of some 33,000 items and 3,300 orders.
ITEMS: Final = 1_000_000
RUNS: Final = 30
RUN: Final = {"s3_put": 3_700, "s3_get": 17_300}
"""Requests of the third such run and of the night's maintenance after it, counted on moto.

tests/aws/test_run_requests_of_s3.py counts those of a smaller shop.
"""
RUN_MINUTES: Final = {False: 3, True: 20}
"""Of a run's task: its start and a minute's work; where it is guarded, a chain of Glue jobs."""
GLUE_DPU: Final = 2
"""What a job's workers are scaled to, where there is little to do; billed for a minute at least."""
FIGURES: Final = 4
"""Metrics of a table, paid for in the hours in which there is one."""
BATCH_GB: Final = 1
"""What a month's files and tables are, with old versions."""

# Of a warehouse, which no environment has as they are written.
LOAD_MINUTES: Final = 2
"""Of a run's loads: a short statement for each mart, and RPUs are paid for a minute at least."""
QUESTION_HOURS: Final = 20
"""In which people ask it something."""


@dataclass(frozen=True)
class Line:
    """So much of something that has a price, in a month."""

    what: str
    price: str
    count: float

    @property
    def dollars(self) -> float:
        """What it costs."""
        usd: float = prices()[self.price]["usd"]
        return self.count * usd


@cache
def _list() -> dict[str, Any]:
    return tomllib.loads(PRICES.read_text())


def prices() -> Mapping[str, Mapping[str, Any]]:
    """The list of prices, by name."""
    found: Mapping[str, Mapping[str, Any]] = _list()["prices"]
    return found


@dataclass(frozen=True)
class Templates:
    """What an environment's templates have."""

    folder: Path

    @cached_property
    def _by_id(self) -> list[tuple[str, str, dict[str, Any]]]:
        return [
            (logical, resource["Type"], resource.get("Properties", {}))
            for file in sorted(self.folder.glob("*.template.json"))
            for logical, resource in json.loads(file.read_text())["Resources"].items()
        ]

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The properties of every resource of a type, which is named without its ``AWS::``."""
        return [properties for _, type_, properties in self._by_id if type_ == f"AWS::{kind}"]

    def one(self, logical: str) -> dict[str, Any]:
        """The properties of the one resource with this id."""
        [found] = [properties for name, _, properties in self._by_id if name == logical]
        return found

    def __len__(self) -> int:
        """How many resources there are."""
        return len(self._by_id)

    @property
    def kinds(self) -> set[str]:
        """The types that there are."""
        return {type_.removeprefix("AWS::") for _, type_, _ in self._by_id}

    @property
    def run(self) -> tuple[float, float]:
        """A run's task: its vCPUs and GB."""
        [task] = [t for t in self.all("ECS::TaskDefinition") if t["Family"].endswith("dagster-run")]
        return _size(task)

    @property
    def guarded(self) -> bool:
        """Whether tables' work is done by Glue jobs."""
        return bool(self.all("Glue::Job"))


def _size(task: Mapping[str, Any]) -> tuple[float, float]:
    return int(task["Cpu"]) / 1024, int(task["Memory"]) / 1024


# ---------------------------------------------------------------------------- while nothing comes


def _services(found: Templates) -> Iterator[Line]:
    vcpu = gb = addresses = 0.0
    for service in found.all("ECS::Service"):
        cpus, memory = _size(found.one(service["TaskDefinition"]["Ref"]))
        count = service["DesiredCount"]
        vcpu, gb = vcpu + count * cpus, gb + count * memory
        network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        addresses += count * (network["AssignPublicIp"] == "ENABLED")
    yield Line("Dagster's tasks: CPUs", "fargate_vcpu", vcpu * HOURS)
    yield Line("Dagster's tasks: memory", "fargate_gb", gb * HOURS)
    yield Line("Dagster's tasks: addresses", "ipv4", addresses * HOURS)
    cpus, memory = found.run
    hours = NIGHT_MINUTES / 60 * DAYS
    yield Line("maintenance at night: CPUs", "fargate_vcpu", cpus * hours)
    yield Line("maintenance at night: memory", "fargate_gb", memory * hours)


def _database(found: Templates) -> Iterator[Line]:
    for database in found.all("RDS::DBInstance"):
        zones = 2 if database["MultiAZ"] else 1
        kind = database["DBInstanceClass"]
        yield Line(f"database `{kind}`", f"rds_{kind}", zones * HOURS)
        size = int(database["AllocatedStorage"])
        yield Line("database: storage", "rds_gb", zones * size)


def _network(found: Templates) -> Iterator[Line]:
    doors = sum(
        len(e["SubnetIds"])
        for e in found.all("EC2::VPCEndpoint")
        if e["VpcEndpointType"] == "Interface"
    )
    yield Line("interface endpoints", "endpoint", doors * HOURS)
    balancers = len(found.all("ElasticLoadBalancingV2::LoadBalancer"))
    yield Line("load balancer", "load_balancer", balancers * HOURS)
    zones = len(found.all("ServiceDiscovery::PrivateDnsNamespace"))
    yield Line("private zone of names", "hosted_zone", zones)


def _watch(found: Templates) -> Iterator[Line]:
    yield Line("keys", "key", len(found.all("KMS::Key")))
    yield Line("secret", "secret", len(found.all("SecretsManager::Secret")))
    yield Line("alarms", "alarm", len(found.all("CloudWatch::Alarm")))
    yield Line("dashboards", "dashboard", len(found.all("CloudWatch::Dashboard")))
    rules = sum(
        "Metrics" in rule["Destination"]
        for bucket in found.all("S3::Bucket")
        for rule in bucket.get("ReplicationConfiguration", {}).get("Rules", ())
    )
    yield Line("metrics of replication", "metric", REPLICATION_METRICS * rules)
    services, kinds = len(found.all("ECS::Service")), len(found.all("ECS::TaskDefinition"))
    watched = sum(
        setting["Value"] == "enabled"
        for cluster in found.all("ECS::Cluster")
        for setting in cluster["ClusterSettings"]
    )
    insights = watched * INSIGHTS * (1 + services + kinds)
    yield Line("metrics of Container Insights (assumed)", "metric", insights)
    running = sum(service["DesiredCount"] for service in found.all("ECS::Service"))
    yield Line("logs (assumed)", "log_gb", LOGS_GB * running)


def _lake(found: Templates) -> Iterator[Line]:
    for kind in ("s3_put", "s3_get"):
        asked = LOOK[kind] * LOOKS_A_DAY + WHOLE_LOOK[kind] * WHOLE_LOOKS_A_DAY
        yield Line(f"the sensors' looks: {prices()[kind]['unit']}", kind, asked * DAYS)
    yield Line("the sensor's questions to the queue", "sqs", POLLS_A_DAY * DAYS)
    yield Line("what lies there, in two regions (assumed)", "s3_gb", 2 * LAKE_GB)
    yield Line("backups (assumed)", "backup_gb", BACKUP_GB * len(found.all("Backup::BackupVault")))
    yield Line("images (assumed)", "image_gb", IMAGE_GB * len(found.all("ECR::Repository")))
    crawled = sum("Schedule" in crawler for crawler in found.all("Glue::Crawler"))
    yield Line("the crawler, each week", "crawler_dpu", crawled * CRAWL_DPU_HOURS * DAYS / 7)


def _guards(found: Templates) -> Iterator[Line]:
    hundreds = math.ceil(len(found) / 100)  # a role more or less is no other estimate
    recorded = CONFIG_ITEMS * 100 * hundreds * len(found.all("Config::ConfigurationRecorder"))
    yield Line("AWS Config (assumed)", "config_item", recorded)
    checks = SECURITY_CHECKS * len(found.all("SecurityHub::Hub"))
    yield Line("Security Hub (assumed)", "finding_check", checks)
    events = GUARDDUTY_EVENTS * len(found.all("GuardDuty::Detector"))
    yield Line("GuardDuty (assumed)", "guardduty_event", events)


def idle(found: Templates) -> list[Line]:
    """A month in which no file comes."""
    parts: Sequence[Callable[[Templates], Iterator[Line]]]
    parts = (_services, _database, _network, _watch, _lake, _guards)
    return [line for part in parts for line in part(found)]


# --------------------------------------------------------------------------- for a million items


def batches(found: Templates) -> list[Line]:
    """What a million items in a month add."""
    cpus, memory = found.run
    hours = RUNS * RUN_MINUTES[found.guarded] / 60
    jobs, filled = len(found.all("Glue::Job")), len(_tables(found))
    trails = len(found.all("CloudTrail::Trail"))
    return [
        Line("runs' tasks: CPUs", "fargate_vcpu", cpus * hours),
        Line("runs' tasks: memory", "fargate_gb", memory * hours),
        Line("Glue jobs, a minute each", "glue_dpu", RUNS * jobs * GLUE_DPU / 60),
        Line("S3: PUT or LIST", "s3_put", RUNS * RUN["s3_put"]),
        Line("S3: GET or HEAD", "s3_get", RUNS * RUN["s3_get"]),
        Line("S3's requests in the trail", "data_event", trails * RUNS * sum(RUN.values())),
        Line("figures of tables", "metric", filled * FIGURES * RUNS / HOURS),
        Line("what lies there, in two regions", "s3_gb", 2 * BATCH_GB),
        Line("copied to the second region", "transfer_gb", BATCH_GB),
    ]


def _tables(found: Templates) -> list[dict[str, Any]]:
    """The tables that a run brings up to date."""
    layers = ("bronze", "silver", "gold", "mart")
    entries = found.all("Glue::Table")
    return [t for t in entries if str(t["DatabaseName"]).rsplit("_", 1)[-1] in layers]


# ---------------------------------------------------------------------------------- a warehouse


def warehouse(kind: WarehouseKind) -> list[Line]:
    """What a warehouse adds in a month where it is turned on, idle and asked together."""
    rpus, (nodes, node) = WAREHOUSE_RPUS[0], WAREHOUSE_NODES
    lines = {
        WarehouseKind.SERVERLESS: [
            Line("runs' loads (assumed)", "redshift_rpu", rpus * RUNS * LOAD_MINUTES / 60),
            Line("people's questions (assumed)", "redshift_rpu", rpus * QUESTION_HOURS),
        ],
        WarehouseKind.PROVISIONED: [Line(f"nodes: `{node}`", f"redshift_{node}", nodes * HOURS)],
    }
    return [
        *lines[kind],
        Line("what lies there (assumed)", "redshift_gb", LAKE_GB),
        Line("secret", "secret", 1),
    ]


FREE: Final = frozenset(
    {
        "Athena::NamedQuery", "Athena::WorkGroup", "Backup::BackupPlan", "Backup::BackupSelection",
        "Budgets::Budget", "CloudTrail::Trail", "Config::DeliveryChannel", "EC2::FlowLog",
        "EC2::InternetGateway", "EC2::Route", "EC2::RouteTable", "EC2::SecurityGroup",
        "EC2::SecurityGroupEgress", "EC2::SecurityGroupIngress", "EC2::Subnet",
        "EC2::SubnetRouteTableAssociation", "EC2::VPC", "EC2::VPCGatewayAttachment", "ECS::Cluster",
        "ElasticLoadBalancingV2::Listener", "ElasticLoadBalancingV2::TargetGroup", "Events::Rule",
        "Glue::Connection", "Glue::Database", "Glue::SecurityConfiguration", "Glue::Table",
        "IAM::Policy", "IAM::Role", "KMS::Alias", "LakeFormation::DataLakeSettings",
        "LakeFormation::PrincipalPermissions", "LakeFormation::Resource", "Logs::LogGroup",
        "QuickSight::Dashboard", "QuickSight::DataSet", "QuickSight::DataSource",
        "QuickSight::Theme", "RDS::DBParameterGroup", "RDS::DBSubnetGroup", "S3::BucketPolicy",
        "SNS::Subscription", "SNS::Topic", "SNS::TopicPolicy", "SQS::QueuePolicy",
        "SecretsManager::SecretTargetAttachment", "ServiceDiscovery::Service",
        "StepFunctions::StateMachine",
    }
)  # fmt: skip
"""Types that cost nothing by being there; what some of them are used for is counted elsewhere, or
is cents: messages, questions to Athena, executions. QuickSight is paid for by its users, of whom no
template knows (docs/dashboards.md)."""
PRICED: Final = frozenset(
    {
        "Backup::BackupVault", "CloudWatch::Alarm", "CloudWatch::Dashboard",
        "Config::ConfigurationRecorder", "EC2::VPCEndpoint", "ECR::Repository", "ECS::Service",
        "ECS::TaskDefinition", "ElasticLoadBalancingV2::LoadBalancer", "Glue::Crawler", "Glue::Job",
        "GuardDuty::Detector", "KMS::Key", "RDS::DBInstance", "S3::Bucket", "SQS::Queue",
        "SecretsManager::Secret", "SecurityHub::Hub", "ServiceDiscovery::PrivateDnsNamespace",
    }
)  # fmt: skip
"""Types that lines are made of."""


# ------------------------------------------------------------------------------------- the tables


def tables(folder: Path) -> str:
    """The tables: of environments whose templates are in a folder, of a warehouse, of prices."""
    found = {name: Templates(folder / name) for name in ("dev", "staging", "prod")}
    profiles = {n: "guarded" if t.guarded else "frugal" for n, t in found.items()}
    heads = [f"{name} ({profiles[name]})" for name in found]
    return "\n".join(
        [
            "### A month in which nothing comes",
            "",
            _table(heads, [idle(it) for it in found.values()]),
            "",
            f"### What {ITEMS:,} items a month add, in {RUNS} runs",
            "",
            _table(heads, [batches(it) for it in found.values()]),
            "",
            "### What a warehouse adds, where one is turned on",
            "",
            _table([*WarehouseKind], [warehouse(kind) for kind in WarehouseKind]),
            "",
            f"### Prices ({_list()['region']}, as known on {_list()['known']})",
            "",
            "| | US dollars | for each | page |",
            "| --- | --- | --- | --- |",
            *(
                f"| `{name}` | {_usd(price['usd'])} | {price['unit']} | <{price['page']}> |"
                for name, price in sorted(prices().items())
            ),
            "",
        ]
    )


def _table(heads: Sequence[str], columns: Sequence[list[Line]]) -> str:
    """Lines beside each other: how much, and US dollars; without those of which none has any."""
    by_name = [{(line.what, line.price): line for line in lines} for lines in columns]
    names = list(dict.fromkeys(key for lines in by_name for key in lines))
    rows = [
        "| what | price | " + " | ".join(f"{head} | $" for head in heads) + " |",
        "| --- | --- |" + " ---: | ---: |" * len(heads),
    ]
    for what, price in names:
        lines = [found.get((what, price), Line(what, price, 0)) for found in by_name]
        if any(line.count for line in lines):
            cells = (f"{_amount(it.count)} | {it.dollars:,.2f}" for it in lines)
            rows.append(f"| {what} | `{price}` | " + " | ".join(cells) + " |")
    totals = (f" | **{sum(it.dollars for it in lines):,.2f}**" for lines in columns)
    rows.append("| **together** | | " + " | ".join(totals) + " |")
    return "\n".join(rows)


def _usd(price: float) -> str:
    return f"{price:.7f}".rstrip("0")


def _amount(count: float) -> str:
    return f"{count:,.0f}" if count >= 10 or count == int(count) else f"{count:,.2f}"  # noqa: PLR2004 - two digits


def put(page: str, made: str) -> str:
    """A page with the tables in their place."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{made}\n{_END}{after}"


def main() -> None:
    """Print the tables, or put them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("templates", type=Path, help="a folder of every environment's templates")
    parser.add_argument("--page", type=Path, help="put the tables in their place in this page")
    asked = parser.parse_args()
    made = tables(asked.templates)
    if asked.page:
        asked.page.write_text(put(asked.page.read_text(), made))
    else:
        sys.stdout.write(made)


if __name__ == "__main__":
    main()
