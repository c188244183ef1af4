"""Athena: a workgroup with a limit, and the named queries, from the files that the product asks."""

from __future__ import annotations

from typing import Final

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
RESULTS: Final = "athena_queries/"
"""Where answers lie."""
ANALYSTS_RESULTS: Final = f"{RESULTS}analysts/"
"""Where answers to analysts lie: theirs alone to read, and of the others' they read none."""


class Query(Part):
    """The workgroup and its named queries.

    Attributes:
        workgroup: LAKEHOUSE_ATHENA_WORKGROUP.
        analysts: the workgroup of people whose columns Lake Formation decides.
        queries: by name.
    """

    def __init__(self, scope: Construct, environment: Environment, foundation: Foundation) -> None:
        super().__init__(scope, environment, "query", "Athena's workgroup and named queries.")
        self.workgroup = self._group(
            "Workgroup", "lakehouse", "Questions to the lakehouse.", RESULTS, foundation
        )
        self.analysts = self._group(
            "Analysts", "analysts", "Questions of analysts.", ANALYSTS_RESULTS, foundation
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
                work_group=self.workgroup.name,
            )
            entry.add_resource_dependency(self.workgroup)
            self.queries[query.name] = entry

    def _group(
        self, logical: str, name: str, about: str, results: str, foundation: Foundation
    ) -> athena.CfnWorkGroup:
        of = athena.CfnWorkGroup
        return of(
            self,
            logical,
            name=self.named(name),
            description=about,
            recursive_delete_option=not self.settings.guarded,
            work_group_configuration=of.WorkGroupConfigurationProperty(
                bytes_scanned_cutoff_per_query=_LIMIT_GIGABYTES * _GIGABYTE,
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                engine_version=of.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=of.ResultConfigurationProperty(
                    output_location=f"s3://{foundation.processed.bucket_name}/{results}",
                    expected_bucket_owner=self.account,
                    encryption_configuration=of.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=foundation.data_key.key_arn
                    ),
                ),
            ),
        )
