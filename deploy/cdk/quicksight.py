"""The dashboards in QuickSight: what Athena answers, drawn for people who have an account there.

QuickSight is signed up for by a person, once for an account, and so are its users and groups made:
CloudFormation knows neither (docs/dashboards.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lakeformation as lakeformation
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.asking import let_ask, let_find, let_read_answers, processed
from deploy.cdk.config import Environment, QuickSightGroups
from deploy.cdk.foundation import Foundation
from deploy.cdk.query import RESULTS
from deploy.cdk.stack import Part, acknowledge, grant
from deploy.quicksight import theme
from deploy.quicksight.data_sets import DataSet, data_sets
from deploy.quicksight.definition import PUBLISHED, definition
from deploy.quicksight.limits import assert_fits
from lakehouse_assets.dashboards.registry import dashboards
from lakehouse_assets.queries.named import tables
from lakehouse_assets.store.delta import folder_of
from lakehouse_assets.tables.dashboard import Dashboard
from lakehouse_assets.tables.glue_entries import entry_name

# What one may who looks, and who builds upon it; nobody changes by hand what a template says.
# https://docs.aws.amazon.com/quicksight/latest/developerguide/update-dashboard-permissions.html
# https://docs.aws.amazon.com/quicksight/latest/APIReference/API_UpdateThemePermissions.html
# https://docs.aws.amazon.com/quicksight/latest/developerguide/dataset-permissions.html
_LOOK_AT_DASHBOARD: Final = (
    "quicksight:DescribeDashboard",
    "quicksight:ListDashboardVersions",
    "quicksight:QueryDashboard",
)
_LOOK_AT_THEME: Final = (
    "quicksight:DescribeTheme",
    "quicksight:DescribeThemeAlias",
    "quicksight:ListThemeAliases",
    "quicksight:ListThemeVersions",
)
_USE_DATA_SET: Final = (
    "quicksight:DescribeDataSet",
    "quicksight:DescribeDataSetPermissions",
    "quicksight:DescribeIngestion",
    "quicksight:ListIngestions",
    "quicksight:PassDataSet",
)


class QuickSight(Part):
    """Data source, data sets, a theme and the dashboards, each from the page's own definition.

    Deployed after the tables, and after what registers their places with Lake Formation.

    Attributes:
        role: what QuickSight asks Athena with, for every dashboard and for nothing else.
    """

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        foundation: Foundation,
        groups: QuickSightGroups,
    ) -> None:
        super().__init__(scope, environment, "quicksight", "Dashboards in QuickSight.")
        self._groups = groups
        shown = list(dashboards().values())
        used = {name: one for board in shown for name, one in data_sets(board).items()}
        asked = sorted({table for one in used.values() for table in one.asked})
        self.role = self._role(foundation, asked)
        self._source = self._data_source()
        self._data_sets = {name: self._data_set(one) for name, one in used.items()}
        self._theme = self._resource(
            "Theme",
            "Theme",
            ThemeId=self.named("pages"),
            Name=self.named("pages"),
            BaseThemeId=theme.BASE,
            Configuration=theme.configuration(),
            Permissions=self._permit(_LOOK_AT_THEME, [*groups.readers, *groups.authors]),
        )
        for dashboard in shown:
            self._dashboard(dashboard)

    # ---------------------------------------------------------------------------- what is asked

    def _role(self, foundation: Foundation, asked: Sequence[str]) -> iam.Role:
        """What the data source's queries run as, in place of the account's own role.

        https://docs.aws.amazon.com/quicksight/latest/user/datasource-run-as-role.html
        """
        role = iam.Role(
            self,
            "Asks",
            role_name=self.named("quicksight"),
            description="What QuickSight asks Athena with for the dashboards.",
            assumed_by=iam.ServicePrincipal("quicksight.amazonaws.com"),
        )
        layers = sorted({name.split(".", maxsplit=1)[0] for name in asked})
        let_ask(self, role, "lakehouse")
        let_find(self, role, layers, "Of these databases every table: the dashboards ask several.")
        let_read_answers(
            self, role, RESULTS, "Each answer is an object of its own, in the workgroup's folder."
        )
        grant(role, ["kms:Decrypt", "kms:GenerateDataKey"], [foundation.data_key.key_arn])
        known = tables()
        by_iam = [folder_of(known[name]) for name in asked if not _by_column(name)]
        grant(
            role,
            ["s3:ListBucket"],
            [processed(self)],
            conditions={"StringLike": {"s3:prefix": [f"{folder}/*" for folder in by_iam]}},
        )
        grant(
            role,
            ["s3:GetObject"],
            [f"{processed(self)}/{folder}/*" for folder in by_iam],
            "Which objects there will be is not known; of the tables that are asked alone.",
        )
        self._let_see(role, filter(_by_column, asked))
        return role

    def _let_see(self, role: iam.Role, asked: Iterable[str]) -> None:
        """Lake Formation decides of these tables: whole, for dashboards name customers."""
        of = lakeformation.CfnPrincipalPermissions
        for name in asked:
            of(
                self,
                f"Sees-{name.replace('.', '-')}",
                principal=of.DataLakePrincipalProperty(
                    data_lake_principal_identifier=role.role_arn
                ),
                permissions=["SELECT"],
                permissions_with_grant_option=[],
                resource=of.ResourceProperty(
                    table_with_columns=of.TableWithColumnsResourceProperty(
                        catalog_id=self.account,
                        database_name=(
                            f"{names.catalog_prefix(self.settings)}{name.partition('.')[0]}"
                        ),
                        name=entry_name(name),
                        column_wildcard=of.ColumnWildcardProperty(excluded_column_names=[]),
                    )
                ),
            )

    def _data_source(self) -> cdk.CfnResource:
        found = self._resource(
            "DataSource",
            "DataSource",
            DataSourceId=self.named("athena"),
            Name=self.named("athena"),
            Type="ATHENA",
            DataSourceParameters={
                "AthenaParameters": {
                    "WorkGroup": self.named("lakehouse"),
                    "RoleArn": self.role.role_arn,
                }
            },
        )
        found.node.add_dependency(self.role)  # it is tried as it is made
        return found

    def _data_set(self, one: DataSet) -> cdk.CfnResource:
        told = one.properties(_arn(self._source), names.catalog_prefix(self.settings))
        return self._resource(
            f"DataSet-{one.name}",
            "DataSet",
            DataSetId=self.named(one.name),
            **told,
            Permissions=self._permit(_USE_DATA_SET, self._groups.authors),
        )

    # ---------------------------------------------------------------------------- what is shown

    def _dashboard(self, dashboard: Dashboard) -> None:
        told = definition(dashboard, lambda name: _arn(self._data_sets[name]))
        assert_fits(dashboard.name, told, data_sets(dashboard))
        name = self.named(dashboard.name)
        made = self._resource(
            f"Dashboard-{dashboard.name}",
            "Dashboard",
            DashboardId=name,
            Name=dashboard.title,
            Definition=told,
            DashboardPublishOptions=PUBLISHED,
            ThemeArn=_arn(self._theme),
            Permissions=self._permit(
                _LOOK_AT_DASHBOARD, [*self._groups.readers, *self._groups.authors]
            ),
        )
        acknowledge(
            made, "${Parameter} is QuickSight's own here.", "CloudFormation-Validate::E1029"
        )
        made.add_metadata("cfn-lint", {"config": {"ignore_checks": ["E1029"]}})  # the same
        place = f"https://{self.region}.quicksight.aws.amazon.com/sn/dashboards/{name}"
        self.output(f"Address{dashboard.name.capitalize()}", place, f"{dashboard.title}.")

    def _permit(self, actions: Sequence[str], groups: Sequence[str]) -> list[Mapping[str, Any]]:
        where = f"{self._groups.identity_region}:{self.account}"
        return [
            {
                "Principal": (
                    f"arn:{self.partition}:quicksight:{where}:group/"
                    f"{self._groups.namespace}/{group}"
                ),
                "Actions": [*actions],
            }
            for group in dict.fromkeys(groups)
        ]

    def _resource(self, logical: str, kind: str, **properties: Any) -> cdk.CfnResource:
        """A resource in the API's own names: CDK's classes have others for each of thousands."""
        told = {name: value for name, value in properties.items() if value}
        tags = names.tags(self.settings, self.part)
        return cdk.CfnResource(
            self,
            logical,
            type=f"AWS::QuickSight::{kind}",
            properties={
                "AwsAccountId": self.account,
                **told,
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            },
        )


def _by_column(table: str) -> bool:
    return table.split(".", maxsplit=1)[0] in names.BY_COLUMN


def _arn(of: cdk.CfnResource) -> str:
    return of.get_att("Arn").to_string()
