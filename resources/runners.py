"""Runners: where a table's work runs. In this process, or as a Glue job."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, Self

import dagster as dg

from lakehouse_assets.defs.checks import evaluation
from lakehouse_assets.operations import restore
from lakehouse_assets.operations.maintenance import Maintenance, maintain, maintain_own, written_by
from lakehouse_assets.pipeline.result import Result
from lakehouse_assets.pipeline.run_table import run_table
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import table_ids
from resources.engines import Engine, engine
from resources.locks import alive, all_tables, one_writer
from resources.settings import RunnerName, Settings

if TYPE_CHECKING:
    from resources.glue_pipes import Ended


class LocalRunner(dg.ConfigurableResource["LocalRunner"]):
    """Does a table's work in this process, on the engine it is given."""

    engine: Engine

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Show that the run is at work while this process is."""
        with ExitStack() as held:
            if context.run is not None:
                held.enter_context(alive(Settings.load(), context.run.run_id))
            yield self

    def run(
        self,
        context: dg.AssetExecutionContext,
        table: str,
        dates: Sequence[date],
        *,
        replay: bool = False,
    ) -> Result:
        """Bring one table up to date with the batches of these dates; see `run_table`.

        Raises BusyError where another process keeps the table for too long.
        """
        return run_here(self.engine, table, dates, context.run.run_id, replay=replay)

    def maintain(self, context: dg.OpExecutionContext) -> list[Maintenance]:
        """Maintain every table. Raises BusyError."""
        return maintain_here(context.run_id)


class GlueRunner(dg.ConfigurableResource["GlueRunner"]):
    """Does a table's work as its Glue job, ``<prefix><layer>-<name>``."""

    def run(
        self,
        context: dg.AssetExecutionContext,
        table: str,
        dates: Sequence[date],
        *,
        replay: bool = False,
    ) -> Result:
        """Bring one table up to date with the batches of these dates; see `run_table`.

        Raises BusyError where another process keeps the table for too long, and dagster's
        Failure, one clear line, where the job does not do what it was asked to. What it had
        told before is recorded all the same.
        """
        settings = Settings.load()
        asked = {"dates": [str(day) for day in dates], "replay": replay}
        # Pipes reads what is deprecated on an asset's own context.
        ended = _by_job(settings, context.op_execution_context, table, asked)
        told = ended.told.get("result")
        result = Result.from_json(told) if told else Result(table)
        try:
            with _trying_again(settings):
                ended.raise_for_state()
            _demand_all_checks(context, result)
        except (dg.Failure, dg.RetryRequested):
            for check in result.checks:
                context.log_event(evaluation(context.asset_key, check))
            raise
        cost = ended.dpu_seconds / 3600 * settings.glue_dpu_hour_usd
        result.metadata |= {"dpu_seconds": ended.dpu_seconds, "cost_usd": round(cost, 4)}
        return result

    def maintain(self, context: dg.OpExecutionContext) -> list[Maintenance]:
        """Maintain every table as its job, which is its only writer; what is no table's, here.

        Raises BusyError, and dagster's Failure as `run` does.
        """
        settings = Settings.load()
        lake = settings.lake()
        done = []
        for table in table_ids():
            if written_by(lake, table):
                ended = _by_job(settings, context, table, {"maintain": True})
                with _trying_again(settings):
                    ended.raise_for_state()
                done += [Maintenance(**told) for told in ended.told["maintained"]]
        return done + maintain_own(lake)


def runner(settings: Settings) -> LocalRunner | GlueRunner:
    """The runner that the settings name."""
    if settings.runner is RunnerName.GLUE:
        return GlueRunner()
    return LocalRunner(engine=engine(settings))


def executor(settings: Settings) -> dg.ExecutorDefinition:
    """How a run's steps are carried out: one after the other where they share an engine.

    Glue jobs have one each; several at once make a run as long as its longest chain of tables.
    """
    if settings.runner is RunnerName.GLUE:
        return dg.multiprocess_executor.configured({"max_concurrent": settings.glue_jobs_at_once})
    return dg.in_process_executor


def glue_job(settings: Settings, table: str) -> str:
    """Name of the Glue job that does a table's work."""
    return settings.glue_job_prefix + table.replace(".", "-")


def _demand_all_checks(context: dg.AssetExecutionContext, result: Result) -> None:
    """Raise Failure unless every declared check has an outcome."""
    declared = {key.name for key in context.selected_asset_check_keys}
    missing = sorted(declared - {check.name for check in result.checks})
    if missing:
        raise dg.Failure(
            f"{result.table}: its job reported no outcome of {', '.join(missing)}; "
            "deploy the wheels of the version that Dagster runs",
            allow_retries=False,
        )


@contextmanager
def _trying_again(settings: Settings) -> Iterator[None]:
    """Let Dagster repeat a step that failed for a reason which may pass: never refused data."""
    try:
        yield
    except dg.Failure as failure:
        if not failure.allow_retries or not settings.glue_retries:
            raise
        again = settings.glue_retry_seconds
        raise dg.RetryRequested(settings.glue_retries, seconds_to_wait=again) from failure


@contextmanager
def _alone(settings: Settings, table: str, run_id: str) -> Iterator[None]:
    """Be the table's one writer of this machine. Raises BusyError."""
    ledger = Ledger(settings.lake())
    if ledger.state().unfinished:  # a restore that died halfway goes first
        with all_tables(settings):
            restore.finish(ledger, run_id)
    with one_writer(settings, table):
        yield


def run_here(
    engine: Engine, table: str, dates: Sequence[date], run_id: str, *, replay: bool = False
) -> Result:
    """Bring one table up to date in this process; see `run_table`. Raises BusyError."""
    settings = Settings.load()
    with _alone(settings, table, run_id):
        return run_table(
            engine.session(),
            settings.lake(),
            table,
            dates,
            run_id,
            settings.limits,
            replay=replay,
        )


def maintain_here(run_id: str) -> list[Maintenance]:
    """Maintain every table in this process. Raises BusyError."""
    settings = Settings.load()
    return maintain(settings.lake(), run_id, lambda table: one_writer(settings, table))


def _by_job(
    settings: Settings, context: dg.OpExecutionContext, table: str, asked: Mapping[str, Any]
) -> "Ended":
    """Have a table's Glue job do what is asked; how it ended, whatever that is."""
    from resources.glue_pipes import GlueJob  # noqa: PLC0415 - imports boto3

    asked = {"table": table, **asked, "settings": settings.of_a_job()}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    job = GlueJob(
        glue_job(settings, table),
        f"{settings.deployment or f'{settings.root}/deployment'}/pipes",
        settings.glue_start_minutes,
        settings.glue_poll_seconds,
    )
    with _alone(settings, table, context.run_id), _trying_again(settings):
        return job.run(context, f"{context.run_id}/{digest[:16]}", asked)
