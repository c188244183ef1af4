"""Dashboards in QuickSight: what the stack says is what the API and CloudFormation know.

Whether QuickSight draws it well only an account can show. Held here: every visual with its title
and its query's columns, every name that refers to another, the API's own model (botocore's: types,
members, values, patterns, sizes), CloudFormation's schema, and that the setting alone adds it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import botocore.session
import duckdb
import pytest
import sqlglot
from botocore.model import Shape
from botocore.validate import ParamValidator
from sqlglot import exp

from deploy.quicksight import limits
from deploy.quicksight.data_sets import AS_OF, Json, data_set, data_sets
from deploy.quicksight.definition import definition
from deploy.quicksight.visuals import fields_of
from lakehouse_assets.dashboards.page_data import drill_down_column, parts
from lakehouse_assets.dashboards.questions import source_columns
from lakehouse_assets.dashboards.registry import dashboards
from lakehouse_assets.dashboards.theme import COLOURS, SERIES
from lakehouse_assets.errors import ContractError
from lakehouse_assets.queries.named import named, tables
from lakehouse_assets.tables.dashboard import (
    Aggregate,
    Bars,
    Dashboard,
    Field,
    Figure,
    Form,
    Funnel,
    HeatMap,
    Line,
    Measure,
    RankedTable,
    Scatter,
    Section,
    Source,
    Visual,
)
from tests.support import PROJECT
from tests.support.templates import text

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(300)]

KINDS = {
    Figure: "KPIVisual",
    Line: "LineChartVisual",
    Bars: "BarChartVisual",
    RankedTable: "TableVisual",
    HeatMap: "HeatMapVisual",
    Scatter: "ScatterPlotVisual",
    Funnel: "FunnelChartVisual",
}
PREFIX = "lakehouse_dev_"
MODEL = botocore.session.get_session().get_service_model("quicksight")

_PROGRAM = """
import sys
from pathlib import Path

import aws_cdk as cdk

from deploy.cdk.analysts import Analysts
from deploy.cdk.app import CONTEXT
from deploy.cdk.config import ENVIRONMENTS, QuickSightGroups
from deploy.cdk.foundation import Foundation
from deploy.cdk.query import Query
from deploy.cdk.quicksight import QuickSight

dev = ENVIRONMENTS["dev"]
groups = QuickSightGroups(readers=("owners",), authors=("analysts",), identity_region="us-east-1")
for which in ("off", "on"):
    app = cdk.App(outdir=str(Path(sys.argv[1], which)), context=CONTEXT, analytics_reporting=False)
    foundation = Foundation(app, dev)
    Query(app, dev, foundation)
    Analysts(app, dev, foundation)
    if which == "on":
        QuickSight(app, dev, foundation, groups)
    app.synth()
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Templates with the setting and without it."""
    out = tmp_path_factory.mktemp("templates")
    program = [sys.executable, "-O", "-c", _PROGRAM, str(out)]  # -O: as for all templates
    done = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {which: out / which for which in ("on", "off")}


@dataclass(frozen=True)
class Stack:
    """The stack's resources."""

    file: Path

    def all(self, kind: str) -> list[Json]:
        """The properties of every resource of a type, with their references as text."""
        resources = json.loads(self.file.read_text())["Resources"].values()
        return [_told(r["Properties"]) for r in resources if r["Type"] == kind]

    def by(self, kind: str, key: str) -> dict[str, Json]:
        """The same by a property."""
        return {one[key]: one for one in self.all(f"AWS::QuickSight::{kind}")}


def _told(value: Any) -> Any:
    """As the API would be told, once CloudFormation has filled in what it knows."""
    if isinstance(value, list):
        return [_told(one) for one in value]
    if isinstance(value, dict):
        if set(value) & {"Fn::Join", "Ref", "Fn::GetAtt", "Fn::ImportValue"}:
            told = text(value).replace("<AWS::AccountId>", "123456789012")
            return f"arn:aws:made:::{told}" if told.endswith(".Arn>") else told
        return {key: _told(one) for key, one in value.items()}
    return value


@pytest.fixture(scope="module")
def stack(folders: dict[str, Path]) -> Stack:
    return Stack(folders["on"] / "lakehouse-dev-quicksight.template.json")


each = pytest.mark.parametrize("board", dashboards().values(), ids=lambda one: one.name)


def made(board: Dashboard) -> Json:
    return definition(
        board, lambda name: f"arn:aws:quicksight:eu-west-1:123456789012:dataset/{name}"
    )


# ------------------------------------------------------------------------- the API's own words


def faults(value: Any, shape: Shape, at: str = "") -> Iterator[str]:
    """What botocore's model of the API forbids and its validator lets pass."""
    told = shape.metadata
    size = len(value) if isinstance(value, str | list | dict) else value
    counted = shape.type_name in {"string", "list", "map", "integer", "long", "double"}
    if counted and "max" in told and size > told["max"]:
        yield f"{at}: {size} where {told['max']} is the most"
    if counted and size < told.get("min", size):
        yield f"{at}: {size} where {told['min']} is the least"
    if shape.type_name == "string":
        if told.get("enum") and value not in told["enum"]:
            yield f"{at}: {value!r} is none of {told['enum']}"
        if "pattern" in told and not re.fullmatch(told["pattern"], value):
            yield f"{at}: {value!r} is not {told['pattern']}"
    elif shape.type_name == "structure":
        for name in value:
            yield from faults(value[name], shape.members[name], f"{at}.{name}")
        if value == {}:
            yield f"{at}: says nothing"
    elif shape.type_name == "list":
        for place, one in enumerate(value):
            yield from faults(one, shape.member, f"{at}[{place}]")
    elif shape.type_name == "map":
        for name, one in value.items():
            yield from faults(name, shape.key, f"{at}: {name}")
            yield from faults(one, shape.value, f"{at}.{name}")


@pytest.mark.parametrize(
    ("kind", "operation", "least"),
    [
        ("Dashboard", "CreateDashboard", 4),
        ("DataSet", "CreateDataSet", 20),
        ("DataSource", "CreateDataSource", 1),
        ("Theme", "CreateTheme", 1),
    ],
)
def test_the_api_takes_what_the_template_says(
    stack: Stack, kind: str, operation: str, least: int
) -> None:
    """The names are the same: only references are filled in, and days stay texts."""
    shape = MODEL.operation_model(operation).input_shape
    found = stack.all(f"AWS::QuickSight::{kind}")
    assert len(found) >= least
    for told in found:
        report = ParamValidator().validate(told, shape)
        assert not report.has_errors(), report.generate_report()
        assert list(faults(told, shape)) == []


def test_what_the_model_forbids_is_found(stack: Stack) -> None:
    """The check above can fail: a title too long, a kind that is none, a member too many."""
    shape = MODEL.operation_model("CreateDashboard").input_shape
    told = stack.all("AWS::QuickSight::Dashboard")[0]
    sheet = told["Definition"]["Sheets"][0]
    sheet["ContentType"] = "PAGE"
    sheet["Description"] = "x" * 1025
    sheet["SheetId"] = "with a space"
    found = " ".join(faults(told, shape))
    assert "ContentType" in found
    assert "1025" in found
    assert "SheetId" in found


def test_the_template_is_valid(stack: Stack) -> None:
    """By cfn-lint's schemas of every property."""
    from cfnlint.api import lint_file  # here: `make test` collects this file without it

    problems = [str(match) for match in lint_file(stack.file) if match.rule.id != "W3005"]
    assert problems == []


@pytest.mark.parametrize("limit", limits.LIMITS, ids=lambda one: f"{one.structure}.{one.member}")
def test_limits_are_the_apis(limit: limits.Limit) -> None:
    name = "CreateDataSetRequest" if limit.structure == "CreateDataSet" else limit.structure
    member = MODEL.shape_for(name).members[limit.member]
    assert member.metadata["max"] == limit.most
    assert limit.page.startswith("https://docs.aws.amazon.com/quicksight/")


# --------------------------------------------------------------------- every visual of every page


@each
def test_every_visual_is_there_with_its_title_and_columns(board: Dashboard) -> None:
    found = made(board)
    [sheet] = found["Sheets"]
    assert sheet["Name"] == board.title
    assert len(sheet["Visuals"]) == len(board.visuals)
    expressions = {c["Name"]: c["Expression"] for c in found["CalculatedFields"]}
    for shown, drawn in zip(board.visuals, sheet["Visuals"], strict=True):
        [(kind, told)] = drawn.items()
        assert kind == KINDS[type(shown)]
        assert told["Title"]["FormatText"]["PlainText"] == shown.title
        fields = list(fields_of(drawn))
        assert {f["Column"]["DataSetIdentifier"] for f in fields} == {data_set(shown.source).name}
        names = [f["Column"]["ColumnName"] for f in fields]
        said = " ".join([*names, *(expressions[n] for n in names if n in expressions)])
        for part in parts(shown):
            wanted = [
                part.column,
                *filter(None, (getattr(part, "over", ""), getattr(part, "since", ""))),
            ]
            for column in wanted:
                assert column in names or f"{{{column}}}" in said, (shown.title, column)


@each
def test_every_name_refers_to_something(board: Dashboard) -> None:
    found = made(board)
    [sheet] = found["Sheets"]
    known = data_sets(board)
    assert {d["Identifier"] for d in found["DataSetIdentifierDeclarations"]} == set(known)
    calculated = {(c["DataSetIdentifier"], c["Name"]) for c in found["CalculatedFields"]}
    names = [c["Name"] for c in found["CalculatedFields"]]
    assert len(names) == len(set(names))
    parameters = {d["Name"] for p in found["ParameterDeclarations"] for d in p.values()}
    for c in found["CalculatedFields"]:
        of = known[c["DataSetIdentifier"]].columns
        assert set(re.findall(r"\$\{(\w+)\}", c["Expression"])) <= parameters
        assert set(re.findall(r"(?<!\$)\{(\w+)\}", c["Expression"])) <= set(of)
    columns = {(name, column) for name, one in known.items() for column in one.columns}
    for reference in _references(found):
        assert (reference["DataSetIdentifier"], reference["ColumnName"]) in columns | calculated
    ids = [told["VisualId"] for one in sheet["Visuals"] for told in one.values()]
    fields = [f["FieldId"] for one in sheet["Visuals"] for f in fields_of(one)]
    assert len(ids + fields) == len(set(ids + fields))
    elements = sheet["Layouts"][0]["Configuration"]["GridLayout"]["Elements"]
    texts = [box["SheetTextBoxId"] for box in sheet["TextBoxes"]]
    assert sorted(e["ElementId"] for e in elements) == sorted([*ids, *texts])
    for group in found["FilterGroups"]:
        [scope] = group["ScopeConfiguration"]["SelectedSheets"]["SheetVisualScopingConfigurations"]
        assert set(scope["VisualIds"]) <= set(ids)
        assert scope["SheetId"] == sheet["SheetId"]
    assert not _overlaps(elements)


def _references(of: Any) -> Iterator[Json]:
    if isinstance(of, dict):
        if "ColumnName" in of:
            yield of
        for one in of.values():
            yield from _references(one)
    elif isinstance(of, list):
        for one in of:
            yield from _references(one)


def _overlaps(elements: list[Json]) -> list[tuple[str, str]]:
    taken: dict[tuple[int, int], str] = {}
    found = []
    for e in elements:
        assert e["ColumnIndex"] + e["ColumnSpan"] <= 36
        for x in range(e["ColumnIndex"], e["ColumnIndex"] + e["ColumnSpan"]):
            for y in range(e["RowIndex"], e["RowIndex"] + e["RowSpan"]):
                if (x, y) in taken:
                    found.append((taken[x, y], e["ElementId"]))
                taken[x, y] = e["ElementId"]
    return found


@each
def test_what_is_chosen_acts_on_the_visuals_that_the_page_lets_it_act_on(board: Dashboard) -> None:
    found = made(board)
    [sheet] = found["Sheets"]
    ids = [told["VisualId"] for one in sheet["Visuals"] for told in one.values()]
    acts: dict[str, set[str]] = {}
    expressions = {c["Name"]: c["Expression"] for c in found["CalculatedFields"]}
    for group in found["FilterGroups"]:
        [scope] = group["ScopeConfiguration"]["SelectedSheets"]["SheetVisualScopingConfigurations"]
        for one in group["Filters"]:
            [told] = one.values()
            name = told["Column"]["ColumnName"]
            key = expressions.get(name, "DaysFrom")
            for parameter in set(re.findall(r"Chosen\w+|DaysFrom", key)):
                acts.setdefault(parameter, set()).update(scope["VisualIds"])
    dates = set(board.dates.columns) if board.dates else set()
    for name, shown in zip(ids, board.visuals, strict=True):
        columns = set(source_columns(shown.source))
        spans = isinstance(shown, Figure) and shown.change  # by its own two expressions
        acted = name in acts.get("DaysFrom", set())
        whole = shown.selected_by or shown.all_days  # as on the page
        assert acted == (bool(columns & dates) and not spans and not whole)
        for choice in board.choices:
            parameter = f"Chosen{choice.column.capitalize()}"
            assert (name in acts.get(parameter, set())) == (choice.column in columns)
        if shown.selected_by:
            assert any(name in visuals for visuals in acts.values())
    controls = sheet.get("ParameterControls", [])
    assert len(controls) == 2 * bool(board.dates) + len(board.choices)


@each
def test_a_click_chooses_what_the_page_chooses(board: Dashboard) -> None:
    found = made(board)
    declared = {d["Name"]: kind for p in found["ParameterDeclarations"] for kind, d in p.items()}
    for shown, drawn in zip(board.visuals, found["Sheets"][0]["Visuals"], strict=True):
        [told] = drawn.values()
        chosen = [
            one
            for action in told.get("Actions", [])
            for operation in action["ActionOperations"]
            for one in operation["SetParametersOperation"]["ParameterValueConfigurations"]
        ]
        column = drill_down_column(shown)
        assert len(chosen) == bool(column)
        for one in chosen:
            fields = {f["FieldId"]: f["Column"]["ColumnName"] for f in fields_of(drawn)}
            assert fields[one["Value"]["SourceField"]] == column
            kind = data_set(shown.source).columns[column].capitalize()
            assert declared[one["DestinationParameterName"]].startswith(kind)


# ------------------------------------------------------------------------------------ data sets


@each
def test_data_sets_ask_the_named_queries(board: Dashboard) -> None:
    for source in {v.source for v in board.visuals}:
        of = data_set(source)
        told = of.properties("arn", PREFIX)
        asked = told["PhysicalTableMap"]["answer"]["CustomSql"]
        wanted = source_columns(replace(source, among="", of=None))
        names = [column["Name"] for column in asked["Columns"]]
        assert names == [*wanted, *(["rows_in_all"] if source.top else [])]
        assert told["ImportMode"] == "DIRECT_QUERY"
        assert "?" not in asked["SqlQuery"]
        assert of.is_as_of == (f"<<${AS_OF}>>" in asked["SqlQuery"])
        assert of.is_as_of == ("DatasetParameters" in told)
        # Athena reads it, once QuickSight has put a day in.
        tree = sqlglot.parse_one(asked["SqlQuery"].replace(f"<<${AS_OF}>>", "'x'"), read="trino")
        assert isinstance(tree, exp.Query)
        assert tree.named_selects == names


@each
def test_as_of_is_the_parameter_of_the_last_chosen_day(board: Dashboard) -> None:
    found = made(board)
    mapped = {
        one["DataSetIdentifier"]
        for p in found["ParameterDeclarations"]
        for d in p.values()
        for one in d.get("MappedDataSetParameters", [])
        if (d["Name"], one["DataSetParameterName"]) == ("DaysTo", AS_OF)
    }
    assert mapped == {name for name, one in data_sets(board).items() if one.is_as_of}


TYPES = {
    "INTEGER": {"INTEGER", "BIGINT", "HUGEINT"},
    "DECIMAL": {"DECIMAL", "DOUBLE"},
    "DATETIME": {"DATE", "TIMESTAMP"},
    "STRING": {"VARCHAR"},
}


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with every table, empty."""
    with duckdb.connect() as connection:
        for name, table in tables().items():
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.partition('.')[0]}")
            columns = ", ".join(
                f'"{c.name}" {exp.DataType.build(c.type, dialect="spark").sql("duckdb")}'
                for c in table.columns
            )
            connection.execute(f"CREATE TABLE {name} ({columns})")
        yield connection


def asked(sql: str, day: str) -> str:
    """What is asked once a day is put in the parameter's place, in DuckDB's dialect."""
    [found] = sqlglot.transpile(sql.replace(f"'<<${AS_OF}>>'", day), read="trino", write="duckdb")
    return found


@each
def test_columns_have_the_types_that_an_engine_finds(
    board: Dashboard, engine: duckdb.DuckDBPyConnection
) -> None:
    """The contracts' types, worked out by sqlglot; an engine works them out by itself."""
    for of in data_sets(board).values():
        sql = asked(of.sql, "'2999-12-31T00:00:00'")
        found = {row[0]: row[1] for row in engine.execute(f"DESCRIBE {sql}").fetchall()}
        assert list(found) == list(of.columns)
        for name, kind in found.items():
            assert kind.partition("(")[0] in TYPES[of.columns[name]], (of.name, name)


@pytest.mark.parametrize(
    "text",
    ["'{}'", "'{}T00:00:00'", "'{} 00:00:00.000'", "TIMESTAMP '{} 00:00:00'", "DATE '{}'"],
)
def test_as_of_is_the_chosen_day_and_at_most_the_last(
    engine: duckdb.DuckDBPyConnection, text: str
) -> None:
    """However QuickSight writes the day; the answers are the named query's."""
    for key, user, day in ((1, 7, "2025-01-01"), (2, 7, "2025-01-03"), (3, 8, "2025-01-05")):
        engine.execute(
            "INSERT INTO mart.fact_orders (order_id, customer_key, order_date, total_amount) "
            f"VALUES ({key}, {user}, DATE '{day}', 10)"
        )
        engine.execute(f"INSERT INTO gold.daily_sales (order_date) VALUES (DATE '{day}')")
    query = named("repeat_customers")

    def answer(source: Source, chosen: str) -> list[Any]:
        return engine.execute(asked(data_set(source).sql, text.format(chosen))).fetchall()

    def wanted(day: str) -> list[Any]:
        [sql] = sqlglot.transpile(query.sql, read="trino", write="duckdb")
        return engine.execute(sql, [day]).fetchall()

    now, before = Source(query.name), Source(query.name, days_back=2)
    assert answer(now, "2999-12-31") == wanted("2025-01-05")
    assert answer(now, "2025-01-03") == wanted("2025-01-03") != wanted("2025-01-05")
    assert answer(before, "2999-12-31") == wanted("2025-01-03")


# -------------------------------------------------------------------------------- the stack


def test_who_sees_what(stack: Stack) -> None:
    group = "arn:<AWS::Partition>:quicksight:us-east-1:123456789012:group/default/"
    boards = stack.by("Dashboard", "Name")
    assert set(boards) == {board.title for board in dashboards().values()}
    for told in boards.values():
        who = {p["Principal"]: set(p["Actions"]) for p in told["Permissions"]}
        assert set(who) == {f"{group}owners", f"{group}analysts"}
        assert {tuple(sorted(actions)) for actions in who.values()} == {
            (
                "quicksight:DescribeDashboard",
                "quicksight:ListDashboardVersions",
                "quicksight:QueryDashboard",
            )
        }
        assert told["DashboardPublishOptions"]["ExportToCSVOption"] == {
            "AvailabilityStatus": "ENABLED"
        }
    for told in stack.by("DataSet", "DataSetId").values():
        [permission] = told["Permissions"]
        assert permission["Principal"] == f"{group}analysts"
        assert not {a for a in permission["Actions"] if re.search("Update|Delete|Create", a)}
    [source] = stack.all("AWS::QuickSight::DataSource")
    assert "Permissions" not in source


def test_queries_run_as_a_role_of_their_own(stack: Stack) -> None:
    """It sees just the tables that the dashboards ask."""
    [source] = stack.all("AWS::QuickSight::DataSource")
    athena = source["DataSourceParameters"]["AthenaParameters"]
    assert athena["WorkGroup"] == "lakehouse-dev-lakehouse"
    [role] = stack.all("AWS::IAM::Role")
    assert role["RoleName"] == "lakehouse-dev-quicksight"
    [trusted] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "quicksight.amazonaws.com"}
    asked = {
        t for board in dashboards().values() for d in data_sets(board).values() for t in d.asked
    }
    seen = {
        f"{of['DatabaseName'].removeprefix(PREFIX)}.{of['Name']}"
        for p in stack.all("AWS::LakeFormation::PrincipalPermissions")
        for of in [p["Resource"]["TableWithColumns"]]
    }
    assert seen == {t for t in asked if t.split(".")[0] in {"silver", "gold", "mart"}}
    [policy] = stack.all("AWS::IAM::Policy")
    statements = policy["PolicyDocument"]["Statement"]
    objects = {
        resource.split("/", 1)[1]
        for s in statements
        if "s3:GetObject" in s["Action"]
        for resource in (s["Resource"] if isinstance(s["Resource"], list) else [s["Resource"]])
    }
    by_iam = {f"{t.replace('.', '/')}/*" for t in asked - seen}
    assert len(objects) == len(by_iam) + 1
    assert "athena_queries/*" in objects
    assert not any(o.startswith(("silver", "gold", "bronze")) for o in objects)


def test_the_theme_has_the_pages_colours(stack: Stack) -> None:
    [theme] = stack.all("AWS::QuickSight::Theme")
    told = theme["Configuration"]
    assert told["DataColorPalette"]["Colors"] == [c.upper() for c in SERIES["light"]]
    assert told["UIColorPalette"]["PrimaryForeground"] == COLOURS["light"]["ink"].upper()
    for board in stack.all("AWS::QuickSight::Dashboard"):
        assert board["ThemeArn"].endswith("<Theme.Arn>")


def test_the_setting_alone_adds_it(folders: dict[str, Path]) -> None:
    def templates(which: str) -> dict[str, bytes]:
        return {f.name: f.read_bytes() for f in folders[which].glob("*.template.json")}

    on, off = templates("on"), templates("off")
    assert on.pop("lakehouse-dev-quicksight.template.json")
    assert on == off


# --------------------------------------------------------------------- one file, one visual more

BASKETS = Dashboard(
    name="baskets",
    title="Baskets",
    audience="For whoever packs them.",
    main="Orders by how many lines they have",
    sections=(
        Section(
            "All orders",
            (
                Bars(
                    title="Orders by how many lines they have",
                    source=Source("basket_sizes"),
                    category=Field("lines", "Lines", Form.COUNT),
                    measures=(Measure("orders", "Orders", "orders"),),
                ),
            ),
        ),
    ),
)


def test_a_dashboard_more_is_a_file_more() -> None:
    """And QuickSight takes it, though nothing of QuickSight was written."""
    found = made(BASKETS)
    [sheet] = found["Sheets"]
    assert [v["BarChartVisual"]["VisualId"] for v in sheet["Visuals"]] == ["baskets-0"]
    assert [d["Identifier"] for d in found["DataSetIdentifierDeclarations"]] == ["basket_sizes"]
    told = {"AwsAccountId": "123456789012", "DashboardId": "x", "Name": "x", "Definition": found}
    shape = MODEL.operation_model("CreateDashboard").input_shape
    assert not ParamValidator().validate(told, shape).has_errors()
    assert list(faults(told, shape)) == []


def test_a_visual_more_is_an_entry_more() -> None:
    average = Figure(
        title="Worth of an order",
        source=Source("basket_sizes"),
        measure=Measure("revenue", "Average", "shop's currency", Form.MONEY, over="orders"),
    )
    [section] = BASKETS.sections
    more = replace(BASKETS, sections=(replace(section, visuals=(*section.visuals, average)),))
    [before], [after] = made(BASKETS)["Sheets"], made(more)["Sheets"]
    assert after["Visuals"][:1] == before["Visuals"]
    told = after["Visuals"][1]["KPIVisual"]
    assert told["Title"]["FormatText"]["PlainText"] == "Worth of an order"
    [calculated] = made(more)["CalculatedFields"]
    assert calculated["Expression"] == "1.0 * sum({revenue}) / nullIf(sum({orders}), 0)"


def test_names_of_programs_are_words() -> None:
    calculated = made(dashboards()["operations"])["CalculatedFields"]
    assert "replace({state}, '_', ' ')" in [told["Expression"] for told in calculated]


def test_without_days_to_choose_everything_is_seen_first() -> None:
    """No expression names a parameter that is not there; as of a day can be chosen all the same."""
    customers = Figure(
        title="Customers",
        source=Source("customer_days"),
        measure=Measure(
            "customers", "Customers", "customers", aggregate=Aggregate.FIRST_SEEN,
            since="previous_order_date",
        ),
    )  # fmt: skip
    found = made(replace(BASKETS, sections=(Section("All", (customers,)),)))
    assert "CalculatedFields" not in found
    [declared] = found["ParameterDeclarations"]
    assert declared["DateTimeParameterDeclaration"]["Name"] == "DaysTo"
    [control] = found["Sheets"][0]["ParameterControls"]
    assert control["DateTimePicker"]["Title"] == "As of"


def test_a_dashboard_too_large_is_one_line() -> None:
    [section] = BASKETS.sections
    [bars] = section.visuals
    many: tuple[Visual, ...] = tuple(replace(bars, title=f"{bars.title} {n}") for n in range(76))
    large = replace(BASKETS, sections=(replace(section, visuals=many),))
    with pytest.raises(
        ContractError, match=r"^dashboard baskets: 76 visuals, and QuickSight takes 75"
    ):
        limits.assert_fits(large.name, made(large), data_sets(large))


def test_a_title_with_markup_stays_text() -> None:
    odd = replace(BASKETS, sections=(replace(BASKETS.sections[0], title="<script>&"),))
    [box] = made(odd)["Sheets"][0]["TextBoxes"]
    assert "&lt;script&gt;&amp;" in box["Content"]
    assert "<script>" not in box["Content"]
