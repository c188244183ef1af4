"""What the code location defines, and that loading it touches nothing but memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.support import PROJECT

SNAPSHOT = Path(__file__).parent / "snapshots" / "assets.json"

LAYERS = {"raw", "bronze", "silver", "gold", "mart", "ledger", "dashboards"}

# Refuses every way to the outside and every write, from the first import on.
SEALED = """
import os, sys, warnings
warnings.simplefilter("error")
# Dagster asks a resource without settings for its fields in a way that pydantic is to drop.
warnings.filterwarnings("ignore", "The `__fields__` attribute is deprecated")
refused = {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "os.mkdir",
           "os.remove", "os.rename", "os.link", "subprocess.Popen", "os.posix_spawn", "os.system"}
def refuse(event, arguments):
    if event in refused:
        raise PermissionError(f"{event} {arguments}")
    if event == "open" and isinstance(arguments[2], int):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and arguments[0] != os.devnull:
            raise PermissionError(f"open to write {arguments[0]}")
sys.addaudithook(refuse)
"""


def bare(home: Path, **more: str) -> dict[str, str]:
    """An environment without credentials or settings, at home in an empty folder."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LD_LIBRARY_PATH", "TZ")}
    home.mkdir()
    return {
        **kept,
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


def python(code: str, cwd: Path, environment: dict[str, str]) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


# ------------------------------------------------------------------------------------ loading


def test_definitions_load_with_nothing_at_hand(tmp_path: Path) -> None:
    environment = bare(tmp_path / "home")
    folder = tmp_path / "cwd"
    folder.mkdir()
    heavy = ["pandas", "pandera", "pyspark.pandas", "pyspark.sql.connect", "pysail", "duckdb"]
    heavy += ["boto3", "botocore"]
    code = f"{SEALED}\nimport definitions\nprint([m for m in {heavy} if m in sys.modules])"
    assert python(code, folder, environment).strip() == "[]"
    assert not list(folder.iterdir())
    assert not list((tmp_path / "home").iterdir())


def test_definitions_of_an_account_load_with_nothing_at_hand(tmp_path: Path) -> None:
    """Every resource of AWS gets its fields, and asks AWS nothing yet."""
    environment = bare(
        tmp_path / "home",
        LAKEHOUSE_ROOT="s3://shop",
        LAKEHOUSE_RUNNER="glue",
        LAKEHOUSE_CATALOG="glue",
        LAKEHOUSE_ARCHIVE="true",
        LAKEHOUSE_KMS_KEY="key",
        LAKEHOUSE_SNS_TOPICS="arn:aws:sns:eu-west-1:123456789012:shop",
        LAKEHOUSE_METRICS_NAMESPACE="Shop",
        LAKEHOUSE_WAREHOUSE_WORKGROUP="shop",
    )
    code = f"""{SEALED}
from definitions import defs
print(*(type(defs.resources[name]).__name__ for name in sorted(defs.resources)))
print(defs.resources["runner"].exchange)"""
    named, exchange = python(code, tmp_path, environment).splitlines()
    others = "Lakehouse WarehouseLoader CloudWatchMetrics DashboardPages GlueRunner"
    assert named == f"SnsAlerts Archiver GlueCatalog {others}"
    assert exchange == "s3://shop/deployment/pipes"


def test_the_seal_holds(tmp_path: Path) -> None:
    """What the test before relies on does refuse."""
    environment = bare(tmp_path / "home")
    for deed in (
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('example.com', 80)",
        f"open({str(tmp_path / 'x')!r}, 'w')",
        f"import os; os.mkdir({str(tmp_path / 'x')!r})",
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"{SEALED}\n{deed}"], env=environment, capture_output=True
        )
        assert b"PermissionError" in done.stderr, deed


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("lakehouse_assets.tables.registry", ["dagster", "pyspark", "pyarrow", "sqlglot"]),
        ("lakehouse_assets.tables.rules", ["dagster", "pyspark"]),
        ("lakehouse_assets.pipeline.run_table", ["dagster"]),
        ("lakehouse_assets.planning.pending_files", ["dagster", "pyspark"]),
        ("lakehouse_assets.store.ledger", ["dagster", "pyspark"]),
        ("lakehouse_assets.tables.glue_entries", ["dagster", "pyspark", "boto3"]),
        ("lakehouse_assets.defs.run_messages", ["dagster"]),
        ("lakehouse_assets.cli", ["dagster", "pyspark", "duckdb"]),
    ],
)
def test_imports_are_light(module: str, absent: list[str], tmp_path: Path) -> None:
    code = f"import sys, {module}\nprint([m for m in {absent} if m in sys.modules])"
    assert python(code, tmp_path, bare(tmp_path / "home")).strip() == "[]"


def test_definitions_are_assembly_only() -> None:
    assert len((PROJECT / "definitions.py").read_text().splitlines()) <= 68


# ------------------------------------------------------------------------- Dagster's own tools


def tool(tmp_path: Path, *arguments: str) -> str:
    """Run one of Dagster's programs on the project; returns what it printed."""
    # A configured instance, or the tools would ask for telemetry.
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text((PROJECT / "deploy/local/dagster.yaml").read_text())
    environment = bare(tmp_path / "home", DAGSTER_HOME=str(home))
    program = Path(sys.executable).with_name(arguments[0])
    done = subprocess.run(
        [program, *arguments[1:]], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_dg_check_defs(tmp_path: Path) -> None:
    assert "All definitions loaded successfully" in tool(tmp_path, "dg", "check", "defs")


def test_dg_list_defs(tmp_path: Path) -> None:
    listed = json.loads(tool(tmp_path, "dg", "list", "defs", "--json"))
    assert {a["asset_key"] for a in listed["assets"]} == {key(s) for s in specs()}
    assert len(listed["asset_checks"]) == sum(
        len([*d.check_specs]) for d in definitions_of_assets()
    )
    assert "lakehouse" in {job["name"] for job in listed["jobs"]}


def test_a_misspelt_setting_keeps_them_from_loading(tmp_path: Path) -> None:
    environment = bare(tmp_path / "home", LAKEHOUSE_RUNER="glue")
    program = Path(sys.executable).with_name("dagster")
    done = subprocess.run(
        [program, "definitions", "validate"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    line = "LAKEHOUSE_RUNER: no setting has this name; did you mean LAKEHOUSE_RUNNER?"
    assert line in done.stdout + done.stderr


def test_dagster_definitions_validate(tmp_path: Path) -> None:
    out = tool(tmp_path, "dagster", "definitions", "validate")
    assert "Validation successful for code location lakehouse" in out


# --------------------------------------------------------------------------------- what is there


@cache
def loaded() -> dg.Definitions:
    from definitions import defs

    return defs


def specs() -> list[dg.AssetSpec]:
    return sorted(loaded().resolve_all_asset_specs(), key=lambda s: s.key)


def definitions_of_assets() -> list[dg.AssetsDefinition]:
    found = {id(d): d for d in map(loaded().resolve_assets_def, (s.key for s in specs()))}
    return list(found.values())


def key(spec: dg.AssetSpec) -> str:
    return spec.key.to_user_string()


def lineage(spec: dg.AssetSpec) -> dict[str, list[str]]:
    found = spec.metadata.get("dagster/column_lineage")
    if found is None:
        return {}
    return {
        column: [f"{d.asset_key.to_user_string()}.{d.column_name}" for d in deps]
        for column, deps in found.deps_by_column.items()
    }


def schema(spec: dg.AssetSpec) -> list[dg.TableColumn]:
    found = spec.metadata.get("dagster/column_schema")  # what is no table has none
    return list(found.columns) if found else []


def test_columns_say_where_they_come_from() -> None:
    """In their descriptions: Dagster shows column lineage itself only to who pays for it."""
    gold = next(spec for spec in specs() if key(spec) == "gold/daily_sales")
    told = {column.name: column.description or "" for column in schema(gold)}
    assert told["revenue"].endswith(" ← silver.orders.total_amount")
    raw = next(spec for spec in specs() if key(spec) == "raw/orders")
    assert not [column for column in schema(raw) if "←" in (column.description or "")]


def described() -> dict[str, Any]:
    """Every asset and check as people read them, in one line a thing."""
    found = {}
    for spec in specs():
        definition = loaded().resolve_assets_def(spec.key)
        came_from = lineage(spec)
        found[key(spec)] = {
            "description": spec.description,
            "deps": ", ".join(sorted(d.asset_key.to_user_string() for d in spec.deps)),
            "group": spec.group_name,
            "kinds": ", ".join(sorted(spec.kinds)),
            "owners": ", ".join(spec.owners),
            "tags": {k: v for k, v in spec.tags.items() if not k.startswith("dagster/kind/")},
            "partitions": repr(spec.partitions_def),
            "backfill": repr(definition.backfill_policy),
            "pool": definition.op.pool if definition.is_executable else None,
            "freshness": repr(spec.freshness_policy),
            "table": spec.metadata.get("dagster/table_name"),
            "partitioned by": spec.metadata.get("partition_columns"),
            "clustered by": spec.metadata.get("zorder_columns"),
            "columns": [
                f"{c.name} {c.type}{'' if c.constraints.nullable else ' not null'}: "
                + (c.description or "").partition(" ← ")[0]
                + (f" <- {', '.join(came_from[c.name])}" if c.name in came_from else "")
                for c in schema(spec)
            ],
            "checks": {
                check.name: str(check.description)
                + ("" if check.partitions_def == spec.partitions_def else " (without dates)")
                for check in definition.check_specs
            },
        }
    return found


def test_everything_is_as_recorded() -> None:
    """`make snapshot` records what is there now; then read the difference.

    Tables that someone adds (the README's) are theirs, and change nothing of what is recorded but
    what depends on all tables.
    """
    found = described()
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    recorded = json.loads(SNAPSHOT.read_text())
    renew = "`make snapshot` records it anew"
    added = found.keys() - recorded.keys()
    for name, asset in recorded.items():
        assert name in found, f"{name} is gone; {renew}"
        deps = [dep for dep in found[name]["deps"].split(", ") if dep not in added]
        now = found[name] | {"deps": ", ".join(deps)}
        assert now == asset, f"{name} is not as recorded; {renew}"


def test_every_asset_is_described() -> None:
    for spec in specs():
        assert spec.description, key(spec)
        assert spec.owners, key(spec)
        assert spec.group_name in LAYERS, key(spec)
        assert spec.kinds, key(spec)
        assert spec.partitions_def == specs()[0].partitions_def, key(spec)
        for column in schema(spec):
            assert column.description, f"{key(spec)}.{column.name}"


def test_every_table_says_where_its_columns_come_from() -> None:
    columns = {key(s): {c.name for c in schema(s)} for s in specs()}
    upstream = {key(s): {d.asset_key.to_user_string() for d in s.deps} for s in specs()}
    for spec in specs():
        came_from = lineage(spec)
        if spec.group_name in ("silver", "gold", "mart"):
            assert set(came_from) == columns[key(spec)], key(spec)
        if spec.group_name == "bronze":  # the rest is where a row stood
            assert set(came_from) == {c for c in columns[key(spec)] if not c.startswith("_")}
        for column, sources in came_from.items():
            assert sources, f"{key(spec)}.{column}"
            for source in sources:
                table, _, name = source.rpartition(".")
                assert table in upstream[key(spec)], f"{key(spec)}.{column}"
                assert name in columns[table], f"{key(spec)}.{column}"


def test_a_derived_column_comes_from_the_columns_it_names() -> None:
    """The word is in ``to_date``, but the column ``date`` is not."""
    [orders] = [s for s in specs() if key(s) == "silver/orders"]
    assert lineage(orders)["order_date"] == ["bronze/orders.order_timestamp"]


def test_every_table_is_checked_and_has_one_writer() -> None:
    pools = []
    for spec in specs():
        if spec.group_name not in ("bronze", "silver", "gold", "mart"):
            continue
        definition = loaded().resolve_assets_def(spec.key)
        assert definition.check_specs, key(spec)
        assert all(c.description for c in definition.check_specs), key(spec)
        assert all(c.partitions_def == spec.partitions_def for c in definition.check_specs)
        assert definition.backfill_policy == dg.BackfillPolicy.single_run()
        assert spec.freshness_policy, key(spec)
        assert str(spec.metadata["dagster/uri"]).endswith(key(spec))
        pools.append(definition.op.pool)
    assert len(set(pools)) == len(pools)
    assert None not in pools


def test_todays_files_can_run() -> None:
    """A partition that ends tonight is there this morning."""
    days = specs()[0].partitions_def
    assert days is not None
    now = dg.DailyPartitionsDefinition("2024-01-01").get_partition_keys()[-1]
    assert days.get_partition_keys()[-1] > now


def test_every_end_of_a_run_is_told_of() -> None:
    """By sensors that are on from the start, and see runs of the command line too."""
    sensors = [s for s in loaded().sensors or () if isinstance(s, dg.RunStatusSensorDefinition)]
    assert {s.name for s in sensors} == {"report_success", "report_failure", "report_canceled"}
    assert all(s.default_status is dg.DefaultSensorStatus.RUNNING for s in sensors)


def test_maintenance_runs_every_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its schedule is on from the start, and its job runs, on an empty lake too."""
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path))
    schedule = loaded().resolve_schedule_def("maintenance_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * *", "UTC")
    assert loaded().resolve_job_def("maintenance").execute_in_process().success
