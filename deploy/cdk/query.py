"""Athena: a workgroup with a limit, and the named queries, from the files that the product asks."""

from __future__ import annotations

from aws_cdk import aws_athena as athena
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.foundation import Foundation
from deploy.cdk.stack import Part
from lakehouse_assets.queries.named import named_queries
from resources.athena_engine import in_catalog

_GIGABYTE = 10**9
_LIMIT_GIGABYTES = 100
"""What one query may read: half a dollar's worth."""


class Query(Part):
    """The workgroup and its named queries.

    Attributes:
        workgroup: LAKEHOUSE_ATHENA_WORKGROUP.
        queries: by name.
    """

    def __init__(self, scope: Construct, environment: Environment, foundation: Foundation) -> None:
        super().__init__(scope, environment, "query", "Athena's workgroup and named queries.")
        of = athena.CfnWorkGroup
        name = names.of(environment, "lakehouse")
        self.workgroup = of(
            self,
            "Workgroup",
            name=name,
            description="Questions to the lakehouse.",
            recursive_delete_option=not environment.guarded,
            work_group_configuration=of.WorkGroupConfigurationProperty(
                bytes_scanned_cutoff_per_query=_LIMIT_GIGABYTES * _GIGABYTE,
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                engine_version=of.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=of.ResultConfigurationProperty(
                    output_location=f"s3://{foundation.processed.bucket_name}/athena_queries/",
                    expected_bucket_owner=self.account,
                    encryption_configuration=of.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=foundation.data_key.key_arn
                    ),
                ),
            ),
        )
        prefix = names.catalog_prefix(environment)
        self.queries = {}
        for query in named_queries().values():
            entry = athena.CfnNamedQuery(
                self,
                f"Query-{query.name}",
                name=query.name,
                description=query.purpose,
                database=f"{prefix}gold",
                query_string=in_catalog(query.sql, prefix),
                work_group=name,
            )
            entry.add_resource_dependency(self.workgroup)
            self.queries[query.name] = entry
