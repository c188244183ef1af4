"""The Glue catalog from the contracts."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.foundation import Foundation
from deploy.cdk.stack import Part, acknowledge_glue, grant
from lakehouse_assets.queries.named import VIEWS, tables
from lakehouse_assets.store.delta import folder_of
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.glue_entries import (
    REGISTERED,
    database_inputs,
    table_input,
)
from lakehouse_assets.tables.registry import DATASETS

_CRAWLED_AT = "cron(0 1 ? * SUN *)"
_RAW = "raw_files"


class Catalog(Part):
    """Databases and tables as the contracts have them, and the raw zone's crawler.

    The run's own ``catalog`` asset registers the same entries: whichever comes first, the other
    finds nothing to do but to note what it registered.

    Attributes:
        databases: by layer.
        tables: by the name that queries know them by.
    """

    def __init__(self, scope: Construct, environment: Environment, foundation: Foundation) -> None:
        super().__init__(scope, environment, "catalog", "Glue databases and tables.")
        self._prefix = names.catalog_prefix(environment)
        wanted = database_inputs(tables(), self._prefix)
        self.databases = {layer: self._database(layer, told) for layer, told in wanted.items()}
        self.databases[VIEWS] = self._database(
            VIEWS, {"Name": f"{self._prefix}{VIEWS}", "Description": "Named queries as views."}
        )
        self.tables = {
            name: self._table(name, table, foundation.processed.bucket_name)
            for name, table in tables().items()
        }
        self._crawl(foundation)

    def _database(self, layer: str, told: dict[str, Any]) -> glue.CfnDatabase:
        return glue.CfnDatabase(
            self,
            f"Database-{layer}",
            catalog_id=self.account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=told["Name"],
                description=told["Description"],
                parameters=told.get("Parameters"),
                # Else every new table in it is for whoever IAM lets ask Glue, whole.
                # https://docs.aws.amazon.com/lake-formation/latest/dg/change-settings.html
                create_table_default_permissions=[] if layer in names.BY_COLUMN else None,
            ),
        )

    def _table(self, name: str, table: Table, bucket: str) -> glue.CfnTable:
        told = table_input(name, table, f"s3://{bucket}/{folder_of(table)}")
        # A digest of the whole entry, which can be told only where the account is known.
        del told["Parameters"][REGISTERED]
        layer = name.split(".", maxsplit=1)[0]
        entry = glue.CfnTable(
            self,
            f"Table-{name.replace('.', '-')}",
            catalog_id=self.account,
            database_name=f"{self._prefix}{layer}",
            table_input=_camel(told),
        )
        entry.add_resource_dependency(self.databases[layer])
        return entry

    def _crawl(self, foundation: Foundation) -> None:
        """What lies in the raw zone, for people who look for it; the tables are no crawler's."""
        database = self._database(
            _RAW,
            {"Name": f"{self._prefix}{_RAW}", "Description": "Files as they landed, by a crawler."},
        )
        role = iam.Role(
            self,
            "Crawls",
            role_name=self.named("crawler"),
            assumed_by=iam.ServicePrincipal("glue.amazonaws.com"),
            description="Looks at the raw files of each dataset.",
        )
        raw = f"arn:{self.partition}:s3:::{names.bucket(self.settings, 'raw', self.account)}"
        grant(role, ["s3:GetBucketLocation", "s3:ListBucket"], [raw])
        grant(
            role,
            ["s3:GetObject"],
            [f"{raw}/{dataset}/*" for dataset in DATASETS],
            "Which files there will be is not known; of the datasets' folders alone.",
        )
        grant(role, ["kms:Decrypt"], [foundation.data_key.key_arn])
        grant(
            role,
            [
                "glue:BatchCreatePartition",
                "glue:BatchGetPartition",
                "glue:CreateTable",
                "glue:GetDatabase",
                "glue:GetPartition",
                "glue:GetPartitions",
                "glue:GetTable",
                "glue:GetTables",
                "glue:UpdatePartition",
                "glue:UpdateTable",
            ],
            [
                self.format_arn(service="glue", resource="catalog"),
                self._arn("database", f"{self._prefix}{_RAW}"),
                self._arn("table", f"{self._prefix}{_RAW}/*"),
            ],
            "Of its own database alone; it finds out which tables there are.",
        )
        # Made by Glue it would be kept for ever. Its name is none of ours: crawlers have no setting
        # for that, and no page of AWS's says it; accounts that encrypt crawlers' logs have such.
        log = self.log_group(
            "Log-crawler",
            f"/aws-glue/crawlers-role/{self.named('crawler')}-{foundation.glue_security}",
            self.settings.log_days,
            kms.Key.from_key_arn(self, "LogsKey", foundation.logs_key.key_arn),
        )
        any_log = self.format_arn(
            service="logs", resource="log-group", resource_name="/aws-glue/crawlers*"
        ).replace("log-group/", "log-group:")
        grant(
            role,
            [
                "logs:AssociateKmsKey",
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:PutLogEvents",
            ],
            [any_log],
            "Glue names the streams of a crawl.",
        )
        crawler = glue.CfnCrawler(
            self,
            "Crawler",
            name=self.named("raw-files"),
            description="Looks at the raw zone, and at nothing else.",
            role=role.role_arn,
            crawler_security_configuration=foundation.glue_security,
            database_name=f"{self._prefix}{_RAW}",
            targets=glue.CfnCrawler.TargetsProperty(
                s3_targets=[
                    glue.CfnCrawler.S3TargetProperty(
                        path=f"s3://{foundation.raw.bucket_name}/{dataset}/"
                    )
                    for dataset in DATASETS
                ]
            ),
            # Each crawl is billed for ten minutes: elsewhere a person starts one.
            schedule=glue.CfnCrawler.ScheduleProperty(schedule_expression=_CRAWLED_AT)
            if self.settings.guarded
            else None,
            schema_change_policy=glue.CfnCrawler.SchemaChangePolicyProperty(
                update_behavior="LOG", delete_behavior="LOG"
            ),
        )
        crawler.add_resource_dependency(database)
        crawler.node.add_dependency(log)
        acknowledge_glue(crawler, "AwsSolutions-GL1")

    def _arn(self, resource: str, name: str) -> str:
        return self.format_arn(service="glue", resource=resource, resource_name=name)


def _camel(told: Any) -> Any:
    """Glue's own words as CDK wants them: ``TableType`` as ``tableType``, values as they are."""
    if isinstance(told, dict):
        return {
            key[:1].lower() + key[1:]: value if key == "Parameters" else _camel(value)
            for key, value in told.items()
        }
    return [_camel(value) for value in told] if isinstance(told, list) else told
