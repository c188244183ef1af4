"""The only reader of the environment. Every setting has a default that works on a laptop."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.parse import Limits
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.storage import Storage
from lakehouse_assets.tables.registry import OUR_OWN
from resources.lakehouse import Lakehouse
from resources.locks import Locks
from resources.s3_storage import storage

_PREFIX: Final = "LAKEHOUSE_"


FOLDER: Final = ".lakehouse"
"""Name of a lakehouse's folder, where it is not said to be elsewhere."""


def nearest() -> Path | None:
    """The lakehouse of the folder that one is in, or of one above: its ``.lakehouse``.

    None where there is none. Looked for as git looks for ``.git``.
    """
    here = Path.cwd()
    found = (folder / FOLDER for folder in (here, *here.parents))
    return next((folder for folder in found if folder.is_dir()), None)


def _default_root() -> str:
    return str(nearest() or Path.cwd() / FOLDER)


class EngineName(StrEnum):
    """The engines that can do the work."""

    SAIL = "sail"
    SPARK = "spark"


class CatalogName(StrEnum):
    """Where Athena, Trino and Spark find the tables."""

    NONE = "none"
    GLUE = "glue"


class LogFormat(StrEnum):
    """How a line of the log looks."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """From which level on a line is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class QueryEngineName(StrEnum):
    """The engines that can answer queries."""

    DUCKDB = "duckdb"
    ATHENA = "athena"


class RunnerName(StrEnum):
    """Where the work can run."""

    LOCAL = "local"
    GLUE = "glue"


class SettingsError(LakehouseError):
    """A setting that cannot be used."""


class Settings(BaseSettings):
    """What ``LAKEHOUSE_*`` variables (and nothing else) can change."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid")

    root: str = Field(
        default_factory=_default_root,
        description=(
            "Folder, or s3://bucket/prefix, that holds the whole lakehouse; the .lakehouse of "
            "this folder or of one above."
        ),
    )
    raw: str | None = Field(
        None, description="Folder or s3:// place of the raw zone and the archive; <root>/raw."
    )
    processed: str | None = Field(
        None, description="Folder or s3:// place of the tables and the ledger; <root>/processed."
    )
    dashboards: str | None = Field(
        None, description="Folder or s3:// place of the dashboards' pages; <root>/dashboards."
    )
    draw: bool = Field(
        False, description="Whether runs draw the dashboards; `lakehouse dashboards` always does."
    )
    tables: str = Field(
        OUR_OWN,
        description=(
            "Package of the tables: silver/ and gold/, and perhaps queries/ and dashboards/, in it."
        ),
    )
    bucket_owner: str | None = Field(
        None, description="Account that the buckets must belong to; any unless set."
    )
    archive: bool = Field(
        False, description="Whether processed files move from the raw zone into its archive."
    )
    kms_key: str | None = Field(
        None, description="KMS key that S3 encrypts by; the buckets' default unless set."
    )
    home: Path | None = Field(
        None,
        description="Folder of what belongs to this machine: locks, Dagster; <root> if a folder.",
    )
    dagster_home: Path | None = Field(
        None,
        description="Folder of the Dagster instance; <home>/dagster unless set.",
        validation_alias="DAGSTER_HOME",
    )
    engine: EngineName = Field(EngineName.SAIL, description="sail (embedded) or spark (JVM).")
    first_date: date = Field(date(2024, 1, 1), description="Earliest batch date.")
    spark_remote: str | None = Field(None, description="A Spark Connect URL to work on instead.")
    query_engine: QueryEngineName = Field(
        QueryEngineName.DUCKDB, description="duckdb (embedded) or athena answers queries."
    )
    athena_workgroup: str = Field("primary", description="Athena's workgroup.")
    athena_output: str | None = Field(
        None, description="s3:// folder of Athena's results; <processed>/athena_queries/."
    )
    patience_seconds: float = Field(
        900.0, description="How long to wait for another process at work on the same table."
    )
    runner: RunnerName = Field(RunnerName.LOCAL, description="local (in the run) or glue.")
    deployment: str | None = Field(
        None, description="s3:// place of what is deployed, and of Pipes; <root>/deployment."
    )
    glue_job_prefix: str = Field("lakehouse-", description="What the names of Glue jobs begin by.")
    glue_jobs_at_once: int = Field(4, ge=1, description="How many Glue jobs a run has at work.")
    glue_start_minutes: float = Field(15.0, description="How long a Glue job may take to start.")
    glue_retries: int = Field(2, ge=0, description="How often what may pass is tried again.")
    glue_retry_seconds: float = Field(60.0, description="How long after that.")
    glue_poll_seconds: float = Field(5.0, description="How often a Glue job is looked at.")
    glue_dpu_hour_usd: float = Field(0.44, description="Price of a Glue DPU for an hour.")
    queue_url: str | None = Field(
        None, description="SQS queue of S3's messages that wake the sensor early; none unless set."
    )
    sensor_interval_seconds: int = Field(
        30, ge=1, description="How often the sensor looks at all that is there."
    )
    settle_seconds: float = Field(
        30.0, description="How old a file must be before the sensor starts its run."
    )
    patience_minutes: float = Field(
        30.0, description="How long the sensor waits for a batch date's other datasets."
    )
    delay_minutes: float = Field(
        120.0, description="How long a file may be pending before people are told."
    )
    max_file_bytes: int = Field(Limits().max_bytes, description="Largest file, as landed.")
    max_expanded_bytes: int = Field(
        Limits().max_expanded_bytes, description="Largest workbook, unpacked."
    )
    max_text_bytes: int = Field(Limits().max_text_bytes, description="Largest .csv.gz, unpacked.")
    max_lines: int = Field(Limits().max_lines, description="Most lines of a CSV file.")
    max_faulty_lines: int = Field(
        Limits().max_faulty_lines,
        description="Most lines of a CSV file that cannot be split or are ragged.",
    )
    max_columns: int = Field(Limits().max_columns, description="Most columns of a file.")
    max_cells: int = Field(Limits().max_cells, description="Most cells of a workbook.")
    max_record_bytes: int = Field(Limits().max_record_bytes, description="Largest CSV record.")
    workbook_memory_bytes: int = Field(
        Limits().workbook_memory_bytes, description="Memory that reading a workbook may take."
    )
    workbook_seconds: float = Field(
        Limits().workbook_seconds, description="Time that reading a workbook may take."
    )
    # The warehouse beside the lake; none unless one of the first two is set.
    warehouse_workgroup: str | None = Field(
        None, description="Workgroup of Redshift Serverless that the marts are loaded into."
    )
    warehouse_cluster: str | None = Field(
        None, description="Provisioned Redshift cluster that they are loaded into instead."
    )
    warehouse_database: str = Field("lakehouse", description="The warehouse's database.")
    warehouse_secret: str | None = Field(
        None,
        description="Name or ARN of its password's secret; without it, by the IAM role that asks.",
    )
    warehouse_role: str | None = Field(
        None, description="ARN of the role by which it reads the lake; its default one unless set."
    )
    # What tells of the tables, and of the runs.
    catalog: CatalogName = Field(CatalogName.NONE, description="Where tables are found by name.")
    catalog_prefix: str = Field("", description="In front of each Glue database's name.")
    ui_url: str = Field("http://127.0.0.1:3000", description="Where messages' links lead.")
    sns_topics: str | None = Field(
        None,
        pattern=r"arn:[^:]+:sns:[^:]+:[0-9]+:[A-Za-z0-9_-]*",
        description=(
            "ARN that -success, -failure, -data-quality and -delay are added to; without it, "
            "messages go to the log."
        ),
    )
    metrics_namespace: str | None = Field(
        None,
        description="CloudWatch namespace, such as Lakehouse; without it, metrics go to the log.",
    )
    environment: str | None = Field(None, description="Names this deployment in metrics.")
    log_format: LogFormat = Field(LogFormat.TEXT, description="text or json.")
    log_level: LogLevel | None = Field(
        None, description="INFO, and WARNING at the command line, unless set."
    )

    @classmethod
    def load(cls) -> Settings:
        """Read the environment. Raises SettingsError naming the variable and what is wrong."""
        _refuse_unknown(os.environ)
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = _PREFIX + "_".join(str(part) for part in first["loc"]).upper()
            raise SettingsError(f"{name}: {first['msg']}; correct or unset it") from None

    @property
    def is_placed(self) -> bool:
        """Whether it is known where the lakehouse is: it was said, or one is there."""
        said = "root" in self.model_fields_set or (self.raw and self.processed)
        return bool(said) or Path(self.root).is_dir()

    @property
    def named_folder(self) -> Path | None:
        """The folder that was said to be the lakehouse; None where none was, or it is no folder."""
        said = "root" in self.model_fields_set and not (self.raw and self.processed)
        return Path(self.root).absolute() if said and "://" not in self.root else None

    @property
    def place(self) -> str:
        """Where the lakehouse is, in words: its root, or its two zones."""
        if self.raw or self.processed:
            places = self.lakehouse
            return f"{places.raw.root} and {places.processed.root}"
        return self.root if self.root.startswith("s3://") else str(Path(self.root).absolute())

    @property
    def has_warehouse(self) -> bool:
        """Whether the marts are loaded into a warehouse. Raises SettingsError for two of them."""
        if self.warehouse_workgroup and self.warehouse_cluster:
            raise SettingsError(
                "LAKEHOUSE_WAREHOUSE_CLUSTER: LAKEHOUSE_WAREHOUSE_WORKGROUP names a warehouse, "
                "too; unset one of them"
            )
        return bool(self.warehouse_workgroup or self.warehouse_cluster)

    @property
    def limits(self) -> Limits:
        """How much one file may ask for."""
        return Limits(
            max_bytes=self.max_file_bytes,
            max_expanded_bytes=self.max_expanded_bytes,
            max_text_bytes=self.max_text_bytes,
            max_lines=self.max_lines,
            max_faulty_lines=self.max_faulty_lines,
            max_columns=self.max_columns,
            max_cells=self.max_cells,
            max_record_bytes=self.max_record_bytes,
            workbook_memory_bytes=self.workbook_memory_bytes,
            workbook_seconds=self.workbook_seconds,
        )

    @property
    def local(self) -> Path:
        """Folder of what belongs to this machine."""
        default = _default_root() if self.root.startswith("s3://") else self.root
        return Path(self.home or default).expanduser().absolute()

    @property
    def locks(self) -> Locks:
        """What keeps this machine's processes from writing the same table."""
        return Locks(self.local / "locks", self.patience_seconds)

    @property
    def lakehouse(self) -> Lakehouse:
        """Where the lakehouse is."""
        return Lakehouse(
            raw=self.storage(self.raw or f"{self.root}/raw"),
            processed=self.storage(self.processed or f"{self.root}/processed"),
            first_date=self.first_date,
        )

    def lake(self) -> Lake:
        """The lakehouse that these settings name; nothing is opened yet."""
        return self.lakehouse.lake()

    def pages(self) -> Storage:
        """Where the dashboards' pages are."""
        return self.storage(self.dashboards or f"{self.root}/dashboards")

    def storage(self, root: str) -> Storage:
        """The storage of a zone: a folder, or a place on S3 as these settings guard it."""
        return storage(root, self.bucket_owner, self.kms_key)

    def athena_results(self) -> str:
        """Where Athena puts its results. Raises SettingsError where that is not on S3."""
        place = self.athena_output or self.lake().storage.uri("athena_queries/")
        if not place.startswith("s3://"):
            raise SettingsError(
                f"LAKEHOUSE_ATHENA_OUTPUT: Athena cannot write to {place}; "
                "set it to s3://<bucket>/<folder>/"
            )
        return place

    def of_a_job(self) -> dict[str, Any]:
        """What a job on another machine must know of these settings, as JSON has it.

        Raises SettingsError where that machine could not reach a zone.
        """
        lake = self.lake()
        for zone, place in (("RAW", lake.raw), ("PROCESSED", lake.storage)):
            if not place.root.startswith("s3://"):
                raise SettingsError(
                    f"LAKEHOUSE_{zone}: a Glue job cannot reach the folder {place.root}; "
                    "set LAKEHOUSE_ROOT to s3://<bucket>, or LAKEHOUSE_RUNNER to local"
                )
        mine = {"home", "dagster_home", "engine", "spark_remote", "runner", "deployment"}
        others = ("glue_", "warehouse_")
        mine |= {name for name in type(self).model_fields if name.startswith(others)}
        return self.model_dump(mode="json", exclude=mine, exclude_none=True)


def _refuse_unknown(names: Iterable[str]) -> None:
    """Raise SettingsError for the first variable that looks like a setting and is none."""
    fields = Settings.model_fields.items()
    known = [_PREFIX + name.upper() for name, field in fields if not field.validation_alias]
    for name in sorted(names):
        if name.upper().startswith(_PREFIX) and name.upper() not in known:
            [meant] = get_close_matches(name.upper(), known, n=1, cutoff=0)
            raise SettingsError(f"{name}: no setting has this name; did you mean {meant}?")
