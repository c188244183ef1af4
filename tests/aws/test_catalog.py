"""The Glue catalog follows the contracts, and what somebody changed by hand is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from lakehouse_assets.defs.catalog_asset import catalog_asset
from lakehouse_assets.ports import Registered
from lakehouse_assets.queries.named import tables
from lakehouse_assets.tables.contract import Column, Table
from lakehouse_assets.tables.glue_entries import differences, table_input
from lakehouse_assets.tables.registry import DERIVED
from resources import glue_catalog
from resources.aws import AwsError
from resources.glue_catalog import GlueCatalog, NoCatalog
from resources.settings import Settings
from tests.support.aws import Aws, refusing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.aws

SILVER_ORDERS = tables()["silver.orders"]


def in_account(prefix: str = "") -> GlueCatalog:
    """The catalog of the account, over the lakehouse that the environment names."""
    return GlueCatalog(lakehouse=Settings.load().lakehouse, prefix=prefix)


def entry(aws: Aws, table: str, prefix: str = "") -> dict[str, Any]:
    layer, name = table.split(".")
    answer = aws.client("glue").get_table(DatabaseName=prefix + layer, Name=name)
    found: dict[str, Any] = answer["Table"]
    return found


def change(aws: Aws, table: str, **changes: Any) -> None:
    """Change a table's entry by hand."""
    known = entry(aws, table)
    kept = ("Name", "Description", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
    new = {name: known[name] for name in kept if name in known} | changes
    aws.client("glue").update_table(DatabaseName=table.split(".", maxsplit=1)[0], TableInput=new)


def versions(aws: Aws) -> int:
    """How often tables have been written."""
    glue, count = aws.client("glue"), 0
    for database in glue.get_databases()["DatabaseList"]:
        for table in glue.get_tables(DatabaseName=database["Name"])["TableList"]:
            names = {"DatabaseName": database["Name"], "TableName": table["Name"]}
            count += len(glue.get_table_versions(**names)["TableVersions"])
    return count


@contextmanager
def contracts(monkeypatch: pytest.MonkeyPatch, found: dict[str, Table]) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(glue_catalog, "tables", lambda: found)
        yield


# -------------------------------------------------------------------------------- what is there


def test_every_table_is_registered_once(aws: Aws) -> None:
    first = in_account().register()
    assert sorted(first.created) == sorted(tables())
    assert not first.drift
    before = versions(aws)
    again = in_account().register()
    assert sorted(again.unchanged) == sorted(tables())
    assert again == Registered(unchanged=again.unchanged)
    assert versions(aws) == before == len(tables())


def test_each_reader_finds_what_it_looks_for(aws: Aws) -> None:
    in_account("dev_").register()
    for name, table in tables().items():
        found = entry(aws, name, "dev_")
        location = found["StorageDescriptor"]["Location"]
        if table.layer != "ledger":
            assert location == _location(table)
        # Trino takes the path, Athena and Trino know Delta by these parameters, Spark by another.
        assert found["StorageDescriptor"]["SerdeInfo"]["Parameters"]["path"] == location
        assert found["Parameters"]["table_type"] == "DELTA"
        assert found["Parameters"]["spark.sql.sources.provider"] == "delta"
        assert found["Parameters"]["classification"] == "delta"
        assert found["TableType"] == "EXTERNAL_TABLE"
        assert [c["Name"] for c in found["PartitionKeys"]] == list(table.partition_by)


def test_types_are_the_contracts_by_an_engines_own_parser(aws: Aws, spark: SparkSession) -> None:
    in_account().register()
    pairs = set()
    for name, table in tables().items():
        found = entry(aws, name)
        listed = [*found["StorageDescriptor"]["Columns"], *found["PartitionKeys"]]
        by_name = {c["Name"]: c for c in listed}
        assert sorted(by_name) == sorted(table.names)
        for column in table.columns:
            assert by_name[column.name]["Comment"] == column.description
            pairs.add((by_name[column.name]["Type"], column.type))
    assert len(pairs) > 5
    for registered, wanted in pairs:
        sql = f"SELECT CAST(NULL AS {registered}) AS r, CAST(NULL AS {wanted}) AS w"
        (_, found_type), (_, wanted_type) = spark.sql(sql).dtypes
        assert found_type == wanted_type == registered


def test_what_glue_would_refuse_is_cut() -> None:
    long = Column(name="Note", type="STRING", description="two\nlines " * 100)
    odd = Table(layer="gold", name="Odd", description="x " * 2000, columns=(long,))
    made = table_input(odd.id, odd, "s3://b/odd")
    assert made["Name"] == "odd"
    assert len(made["Description"]) <= 2048
    [column] = made["StorageDescriptor"]["Columns"]
    assert column["Name"] == "note"
    assert len(column["Comment"]) <= 255
    assert "\n" not in column["Comment"]


# ---------------------------------------------------------------------------- contracts that move


def test_the_catalog_follows_the_contracts(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new column, a new table, a table and a whole layer that are no more: none is drift."""
    extra = Table(layer="lab", name="extra", description="More.", columns=SILVER_ORDERS.columns)
    with contracts(monkeypatch, {**tables(), "lab.extra": extra}):
        assert "lab.extra" in in_account().register().created
    aws.client("glue").create_table(DatabaseName="gold", TableInput={"Name": "mine"})
    gone = next(name for name in DERIVED if name.startswith("gold."))
    note = Column(name="note", type="STRING", description="A note.")
    new = {n: t for n, t in tables().items() if n != gone}
    new["silver.orders"] = replace(SILVER_ORDERS, columns=(*SILVER_ORDERS.columns, note))
    with contracts(monkeypatch, new):
        done = in_account().register()
    assert done.updated == ["silver.orders"]
    assert sorted(done.removed) == sorted([gone, "lab.extra"])
    assert not done.drift
    glue = aws.client("glue")
    names = {t["Name"] for t in glue.get_tables(DatabaseName="gold")["TableList"]}
    assert names == {t.split(".")[1] for t in new if t.startswith("gold.")} | {"mine"}
    assert "lab" not in {d["Name"] for d in glue.get_databases()["DatabaseList"]}
    orders = new["silver.orders"]
    wanted = table_input("silver.orders", orders, _location(orders))
    assert not differences(entry(aws, "silver.orders"), wanted)
    back = in_account().register()
    assert back.created == [gone]
    assert not back.drift


def _location(table: Table) -> str:
    return f"s3://lake/shop/processed/{table.layer}/{table.name}"


def test_deployments_beside_each_other_leave_each_other_alone(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = replace(SILVER_ORDERS, layer="mart", name="extra")
    with contracts(monkeypatch, {**tables(), "lab.extra": extra}):
        in_account("dev_").register()
    done = in_account().register()
    assert done == Registered(created=done.created)
    assert entry(aws, "silver.orders", "dev_")["Name"] == "orders"
    assert entry(aws, "lab.extra", "dev_")["Name"] == "extra"


# ---------------------------------------------------------------------------------------- drift


def test_what_somebody_changed_by_hand_is_told_and_put_right(aws: Aws) -> None:
    in_account().register()
    whole = entry(aws, "silver.orders")
    storage = whole["StorageDescriptor"]
    columns = [{**storage["Columns"][0], "Type": "int"}, *storage["Columns"][1:]]
    change(aws, "silver.orders", StorageDescriptor={**storage, "Columns": columns})
    named = {**entry(aws, "gold.daily_sales")["Parameters"], "owner": "me", "table_type": "ICEBERG"}
    change(aws, "gold.daily_sales", Parameters=named)
    aws.client("glue").delete_table(DatabaseName="rejected", Name="orders")
    done = in_account().register()
    first = storage["Columns"][0]
    assert sorted(done.drift) == [
        "gold.daily_sales: parameter table_type is 'ICEBERG', by contract 'DELTA'",
        "rejected.orders: had been dropped",
        f"silver.orders: column {first['Name']} is 'int', by contract '{first['Type']}'",
    ]
    assert entry(aws, "silver.orders")["StorageDescriptor"] == storage
    assert entry(aws, "gold.daily_sales")["Parameters"]["owner"] == "me"  # not ours to take away
    assert entry(aws, "gold.daily_sales")["Parameters"]["table_type"] == "DELTA"
    after = in_account().register()
    assert sorted(after.unchanged) == sorted(tables())
    assert not after.drift


def test_the_check_says_what_had_drifted(aws: Aws) -> None:
    assert drifted(in_account()) == (True, "Nobody has changed a registered table by hand.")
    change(aws, "silver.orders", Description="mine")
    passed, note = drifted(in_account())
    assert not passed
    assert note
    assert note.startswith("silver.orders: description is 'mine', by contract ")
    assert drifted(in_account())[0]


def test_without_a_catalog_it_says_so() -> None:
    assert drifted(NoCatalog()) == (True, "There is no catalog here.")


def drifted(catalog: GlueCatalog | NoCatalog) -> tuple[bool, str | None]:
    """The outcome of the check when the asset has run."""
    days = dg.DailyPartitionsDefinition("2025-01-01")
    done = dg.materialize(
        [catalog_asset(days)], partition_key="2025-01-02", resources={"catalog": catalog}
    )
    [found] = done.get_asset_check_evaluations()
    return found.passed, found.description


# ------------------------------------------------------------------------------------- bad luck


def test_a_table_of_somebody_else_is_left_alone(aws: Aws) -> None:
    glue = aws.client("glue")
    glue.create_database(DatabaseInput={"Name": "silver"})
    theirs = {"Name": "orders", "StorageDescriptor": {"Location": "s3://theirs/orders"}}
    glue.create_table(DatabaseName="silver", TableInput=theirs)
    with pytest.raises(AwsError, match=r"silver\.orders: is not of this lakehouse; .*PREFIX"):
        in_account().register()
    assert entry(aws, "silver.orders")["StorageDescriptor"]["Location"] == "s3://theirs/orders"
    assert in_account("shop_").register().created


@pytest.mark.parametrize(
    ("code", "attempts", "advice"),
    [
        ("AccessDeniedException", 1, "allow the role GetDatabases on it"),
        ("ThrottlingException", 2, "try again later"),
        ("ExpiredTokenException", 1, "renew the AWS credentials"),
    ],
)
def test_a_refusal_is_one_clear_line(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, code: str, attempts: int, advice: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    with refusing(code) as (url, asked):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(AwsError) as refused:
            in_account().register()
    assert str(refused.value) == f"Glue catalog: GetDatabases refused: {code}: not now; {advice}"
    assert len(asked) == attempts


def test_no_credentials_is_one_clear_line(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(AwsError, match=r"Glue catalog: .*credentials.*; check the AWS credentials"):
        in_account().register()


def test_a_folder_is_nothing_for_athena(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_ROOT", "/data")
    with pytest.raises(AwsError, match=r"is in /data/.*, which Athena cannot read; .*=none"):
        in_account().register()


def test_whose_new_tables_are_stays_as_the_infrastructure_says(aws: Aws) -> None:
    """A database is updated whole: what is not sent again is forgotten."""
    in_account().register()
    glue = aws.client("glue")
    mine = {"Name": "silver", "Description": "", "Parameters": {"lakehouse.layer": "silver"}}
    glue.update_database(Name="silver", DatabaseInput={**mine, "CreateTableDefaultPermissions": []})
    in_account().register()
    found = glue.get_database(Name="silver")["Database"]
    assert found["CreateTableDefaultPermissions"] == []
    assert found["Description"] == "The lakehouse's silver tables."
