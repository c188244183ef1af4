"""What a role must be allowed that asks Athena: to start queries, find tables, read its answers.

https://docs.aws.amazon.com/athena/latest/ug/example-policies-workgroup.html
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam

from deploy.cdk import names
from deploy.cdk.stack import Part, grant


def processed(stack: Part) -> str:
    """The tables' bucket's ARN, by its name: the policy check cannot follow another stack's."""
    name = names.bucket(stack.settings, "processed", stack.account)
    return f"arn:{stack.partition}:s3:::{name}"


def let_ask(stack: Part, role: iam.Role, group: str, *others: str) -> None:
    """Ask in a workgroup; of it and of ``others`` look up settings and named queries."""
    arn = stack.format_arn
    groups = [
        arn(service="athena", resource="workgroup", resource_name=stack.named(name))
        for name in (group, *others)
    ]
    grant(
        role,
        [
            "athena:BatchGetQueryExecution",
            "athena:GetQueryExecution",
            "athena:GetQueryResults",
            "athena:GetQueryResultsStream",
            "athena:GetQueryRuntimeStatistics",
            "athena:ListQueryExecutions",
            "athena:StartQueryExecution",
            "athena:StopQueryExecution",
        ],
        groups[:1],
    )
    grant(
        role,
        [
            "athena:BatchGetNamedQuery",
            "athena:GetNamedQuery",
            "athena:GetWorkGroup",
            "athena:ListNamedQueries",
        ],
        groups,
    )
    grant(
        role,
        [
            "athena:GetDataCatalog",
            "athena:GetDatabase",
            "athena:GetTableMetadata",
            "athena:ListDatabases",
            "athena:ListTableMetadata",
        ],
        [arn(service="athena", resource="datacatalog", resource_name="AwsDataCatalog")],
    )
    grant(
        role,
        ["athena:ListDataCatalogs", "athena:ListEngineVersions", "athena:ListWorkGroups"],
        ["*"],
        "Athena knows no resource for these actions; they list names.",
    )


def let_find(stack: Part, role: iam.Role, layers: Sequence[str], why: str) -> None:
    """Find the layers' tables in the catalog, and be given what Lake Formation lets it see."""
    databases = [f"{names.catalog_prefix(stack.settings)}{layer}" for layer in layers]
    # Athena looks for this one whatever is asked.
    # https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
    databases.append("default")
    arn = stack.format_arn
    grant(
        role,
        [
            "glue:BatchGetPartition",
            "glue:GetDatabase",
            "glue:GetDatabases",
            "glue:GetPartition",
            "glue:GetPartitions",
            "glue:GetTable",
            "glue:GetTables",
        ],
        [
            arn(service="glue", resource="catalog"),
            *(arn(service="glue", resource="database", resource_name=n) for n in databases),
            *(arn(service="glue", resource="table", resource_name=f"{n}/*") for n in databases),
        ],
        why,
    )
    grant(
        role,
        ["lakeformation:GetDataAccess"],
        ["*"],
        "Lake Formation knows no resource for this action; its permissions name them.",
    )


def let_read_answers(stack: Part, role: iam.Role, folder: str, why: str) -> None:
    """Athena writes answers and reads them as who asks; of other folders there are none here."""
    bucket = processed(stack)
    grant(role, ["s3:GetBucketLocation"], [bucket])
    grant(
        role,
        ["s3:ListBucket", "s3:ListBucketMultipartUploads"],
        [bucket],
        conditions={"StringLike": {"s3:prefix": [folder, f"{folder}*"]}},
    )
    grant(
        role,
        [
            "s3:AbortMultipartUpload",
            "s3:GetObject",
            "s3:ListMultipartUploadParts",
            "s3:PutObject",
        ],
        [f"{bucket}/{folder}*"],
        why,
    )
