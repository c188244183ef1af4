"""Who asks Athena: every table of silver and gold, without what says who somebody is.

Lake Formation hides the columns. For that three things must hold together: the tables' places are
registered with it, new tables are not for everybody (the databases say so), and who asks has no
right of its own on the places' objects: Athena then reads by credentials that Lake Formation gives.
https://docs.aws.amazon.com/lake-formation/latest/dg/access-control-underlying-data.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lakeformation as lakeformation
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.asking import let_ask, let_find, let_read_answers, processed
from deploy.cdk.config import Environment
from deploy.cdk.foundation import Foundation
from deploy.cdk.query import ANALYSTS_RESULTS
from deploy.cdk.stack import Part, grant
from lakehouse_assets.queries.named import VIEWS, tables
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.glue_entries import entry_name
from lakehouse_assets.tables.registry import queryable

RESTRICTED: Final = frozenset({"user_id"})
"""Columns that say who somebody is. Analysts see every table without them."""
_SERVED: Final = {
    "run": ("ALTER", "DESCRIBE", "DROP", "SELECT"),
    "execution": ("ALTER", "DESCRIBE", "DROP"),
}
"""What else is done to these tables: a run registers and asks, CloudFormation changes entries."""


class Analysts(Part):
    """The analysts' role, and who may do what with the tables that they see by columns.

    Deployed after the roles and tables that it names.

    Attributes:
        role: of people who query; restricted columns are not for them.
    """

    def __init__(self, scope: Construct, environment: Environment, foundation: Foundation) -> None:
        super().__init__(scope, environment, "analysts", "Who sees what by Athena.")
        self._foundation = foundation
        self._prefix = names.catalog_prefix(environment)
        self._registered = self._register()
        self._serve("run", self._role_arn("dagster-run"))
        self._let_register(self._role_arn("dagster-run"))
        self._serve("execution", self._role_arn("cloudformation"))
        self.role = iam.Role(
            self,
            "Analysts",
            role_name=self.named("analysts"),
            description="Queries by Athena; restricted columns stay hidden.",
            assumed_by=iam.AccountRootPrincipal(),
        )
        self._let_ask()
        for name, table in queryable().items():
            if table.layer in names.BY_COLUMN:
                self._let_see(name, table)

    def _role_arn(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{self.named(name)}"

    # ------------------------------------------------------------------------------ the tables

    def _register(self) -> Sequence[lakeformation.CfnResource]:
        """Tell Lake Formation of the tables' places, and by which role it reads there."""
        role = iam.Role(
            self,
            "Reads",
            role_name=self.named("lakeformation"),
            description="What Lake Formation reads tables with, for those who may see them.",
            assumed_by=iam.ServicePrincipal("lakeformation.amazonaws.com"),
        )
        places = [f"{processed(self)}/{layer}" for layer in names.BY_COLUMN]
        grant(role, ["s3:GetBucketLocation", "s3:ListBucket"], [processed(self)])
        grant(
            role,
            ["s3:GetObject"],
            [f"{place}/*" for place in places],
            "Which objects there will be is not known; of these layers alone.",
        )
        grant(role, ["kms:Decrypt"], [self._foundation.data_key.key_arn])
        found = []
        for layer, place in zip(names.BY_COLUMN, places, strict=True):
            resource = lakeformation.CfnResource(
                self,
                f"Place-{layer}",
                resource_arn=place,
                role_arn=role.role_arn,
                use_service_linked_role=False,
            )
            resource.node.add_dependency(role)
            found.append(resource)
        return found

    def _serve(self, who: str, role: str) -> None:
        """Let who works on the tables go on doing so: IAM alone no longer suffices."""
        of = lakeformation.CfnPrincipalPermissions
        for layer in names.BY_COLUMN:
            self._permit(
                f"Serves-{who}-{layer}",
                role,
                _SERVED[who],
                of.ResourceProperty(
                    table=of.TableResourceProperty(
                        catalog_id=self.account,
                        database_name=f"{self._prefix}{layer}",
                        table_wildcard={},
                    )
                ),
            )
            self._permit(
                f"Places-{who}-{layer}",
                role,
                ["DATA_LOCATION_ACCESS"],
                of.ResourceProperty(
                    data_location=of.DataLocationResourceProperty(
                        catalog_id=self.account, resource_arn=f"{processed(self)}/{layer}"
                    )
                ),
            )

    def _let_register(self, role: str) -> None:
        """Let a run make tables in every database, and change their entries.

        IAM alone lets it only where the account's databases are for everybody whom IAM lets, as
        they are by default: an account that has done away with that hears of it here.
        https://docs.aws.amazon.com/lake-formation/latest/dg/change-settings.html
        """
        of = lakeformation.CfnPrincipalPermissions
        for layer in sorted({VIEWS, *(name.partition(".")[0] for name in tables())}):
            name = f"{self._prefix}{layer}"
            self._permit(
                f"Registers-{layer}",
                role,
                ["ALTER", "CREATE_TABLE", "DESCRIBE"],
                of.ResourceProperty(
                    database=of.DatabaseResourceProperty(catalog_id=self.account, name=name)
                ),
            )
            if layer not in names.BY_COLUMN:
                self._permit(
                    f"Keeps-{layer}",
                    role,
                    _SERVED["run"],
                    of.ResourceProperty(
                        table=of.TableResourceProperty(
                            catalog_id=self.account, database_name=name, table_wildcard={}
                        )
                    ),
                )

    def _permit(
        self,
        logical: str,
        principal: str,
        permissions: Sequence[str],
        resource: lakeformation.CfnPrincipalPermissions.ResourceProperty,
    ) -> None:
        of = lakeformation.CfnPrincipalPermissions
        permission = of(
            self,
            logical,
            principal=of.DataLakePrincipalProperty(data_lake_principal_identifier=principal),
            permissions=[*permissions],
            permissions_with_grant_option=[],
            resource=resource,
        )
        for place in self._registered:
            permission.add_resource_dependency(place)

    def _let_see(self, name: str, table: Table) -> None:
        hidden = sorted(RESTRICTED & {column.name for column in table.columns})
        of = lakeformation.CfnPrincipalPermissions
        self._permit(
            f"Sees-{name.replace('.', '-')}",
            self.role.role_arn,
            ["SELECT"],
            of.ResourceProperty(
                table_with_columns=of.TableWithColumnsResourceProperty(
                    catalog_id=self.account,
                    database_name=f"{self._prefix}{table.layer}",
                    name=entry_name(name),
                    column_wildcard=of.ColumnWildcardProperty(excluded_column_names=hidden),
                )
            ),
        )

    # ------------------------------------------------------------------------------ the analysts

    def _let_ask(self) -> None:
        # The named queries are the product's workgroup's, to be looked up and asked in their own.
        let_ask(self, self.role, "analysts", "lakehouse")
        let_find(
            self,
            self.role,
            [*names.BY_COLUMN, VIEWS],
            "Of these databases every table: which columns is for Lake Formation to say.",
        )
        let_read_answers(
            self,
            self.role,
            ANALYSTS_RESULTS,
            "Each answer is an object of its own; of the analysts' workgroup alone.",
        )
        grant(
            self.role,
            ["kms:Decrypt", "kms:GenerateDataKey"],
            [self._foundation.data_key.key_arn],
        )
