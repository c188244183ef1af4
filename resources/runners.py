"""Runners: where a table's work runs. In this process, or as a Glue job."""

# No `from __future__ import annotations` here: Dagster reads the annotations of resources.
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, Self

import dagster as dg

from lakehouse_assets.operations import restore
from lakehouse_assets.operations.maintenance import (
    Maintenance,
    has_files_to_rewrite,
    maintain,
    maintain_own,
    maintain_tables_of,
)
from lakehouse_assets.parse import Limits
from lakehouse_assets.pipeline.result import Result
from lakehouse_assets.pipeline.run_table import has_news, run_table
from lakehouse_assets.ports import JobFailedError
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import table_ids
from resources.engines import Engine, engine
from resources.glue_jobs import glue_job
from resources.lakehouse import Lakehouse
from resources.locks import Locks
from resources.settings import RunnerName, Settings

if TYPE_CHECKING:
    from resources.glue_pipes import Ended, GlueJob


class LocalRunner(dg.ConfigurableResource["LocalRunner"]):
    """Does a table's work in this process, on the engine it is given."""

    engine: Engine
    lakehouse: dg.ResourceDependency[Lakehouse]
    locks: dg.ResourceDependency[Locks]
    limits: dg.ResourceDependency[Limits]

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Show that the run is at work while this process is."""
        with ExitStack() as held:
            if context.run is not None:
                held.enter_context(self.locks.alive(context.run.run_id))
            yield self

    def run(
        self,
        context: dg.OpExecutionContext,
        table: str,
        dates: Sequence[date],
        *,
        replay: bool = False,
    ) -> Result:
        """Bring one table up to date with the batches of these dates; see `run_here`."""
        return self.run_here(table, dates, context.run_id, replay=replay)

    def run_here(
        self, table: str, dates: Sequence[date], run_id: str, *, replay: bool = False
    ) -> Result:
        """Bring one table up to date in this process, outside Dagster, too; see `run_table`.

        Raises BusyError where another process keeps the table for too long.
        """
        return _run_here(self, table, dates, run_id, replay=replay)

    def maintain(self, context: dg.OpExecutionContext) -> list[Maintenance]:
        """Maintain every table. Raises BusyError."""
        return maintain(self.lakehouse.lake(), context.run_id, self.locks.one_writer)


class GlueRunner(dg.ConfigurableResource["GlueRunner"]):
    """Does a table's work as its Glue job, ``<job_prefix><layer>-<name>``; where there is any.

    A job is billed for a minute at least: a table without news is only looked at, on ``engine``.

    ``exchange`` is the ``s3://`` place of Pipes' messages; ``job_settings`` is what the job must
    know of the settings, as JSON has it. What may pass is tried again ``retries`` times, each
    ``retry_seconds`` later. ``dpu_hour_usd`` is the price of a data processing unit.
    """

    engine: Engine
    lakehouse: dg.ResourceDependency[Lakehouse]
    locks: dg.ResourceDependency[Locks]
    limits: dg.ResourceDependency[Limits]
    job_settings: dict[str, Any]
    job_prefix: str
    exchange: str
    start_minutes: float
    poll_seconds: float
    retries: int
    retry_seconds: float
    dpu_hour_usd: float

    def run(
        self,
        context: dg.OpExecutionContext,
        table: str,
        dates: Sequence[date],
        *,
        replay: bool = False,
    ) -> Result:
        """Bring one table up to date with the batches of these dates; see `run_table`.

        Raises BusyError where another process keeps the table for too long, and JobFailedError
        where the job does not do what it was asked to: its cause is dagster's Failure, one clear
        line, or RetryRequested.
        """
        if not has_news(self.lakehouse.lake(), table, dates, replay=replay):
            return self._look_at(context, table, dates)
        asked = {"dates": [str(day) for day in dates], "replay": replay}
        ended = self._by_job(context, table, asked)
        told = ended.told.get("result")
        result = Result.from_json(told) if told else Result(table)
        try:
            with self._trying_again():
                ended.raise_for_state()
        except (dg.Failure, dg.RetryRequested) as cause:
            raise JobFailedError(result, cause) from cause
        cost = ended.dpu_seconds / 3600 * self.dpu_hour_usd
        result.metadata |= {"dpu_seconds": ended.dpu_seconds, "cost_usd": round(cost, 4)}
        return result

    def maintain(self, context: dg.OpExecutionContext) -> list[Maintenance]:
        """Maintain every table as its job, which is its only writer; what is no table's, here.

        Here, too, what has no files to rewrite: the rest is work on the log, beside any writer.
        Raises BusyError, and dagster's Failure, one clear line, or RetryRequested.
        """
        lake = self.lakehouse.lake()
        done = []
        for table in table_ids():
            if not has_files_to_rewrite(lake, table):
                self._stop_orphans(context, table)
                done += maintain_tables_of(lake, table, context.run_id)
            else:
                ended = self._by_job(context, table, {"maintain": True})
                with self._trying_again():
                    ended.raise_for_state()
                done += [Maintenance(**told) for told in ended.told["maintained"]]
        return done + maintain_own(lake)

    def _look_at(self, context: dg.OpExecutionContext, table: str, dates: Sequence[date]) -> Result:
        """What a job would report that finds nothing to do. Raises BusyError."""
        context.log.info("%s: nothing to take in, so that no Glue job is started", table)
        self._stop_orphans(context, table)
        result = _run_here(self, table, dates, context.run_id)
        result.metadata |= {"dpu_seconds": 0.0, "cost_usd": 0.0}
        return result

    def _by_job(
        self, context: dg.OpExecutionContext, table: str, asked: Mapping[str, Any]
    ) -> "Ended":
        """Have a table's Glue job do what is asked; how it ended, whatever that is."""
        asked = {"table": table, **asked, "settings": self.job_settings}
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        alone = _only_writer(self.lakehouse.lake(), self.locks, table, context.run_id)
        with alone, self._trying_again():
            return self._job(table).run(context, f"{context.run_id}/{digest[:16]}", asked)

    def _stop_orphans(self, context: dg.OpExecutionContext, table: str) -> None:
        """A table has one writer: a job that a dead run has left is none of two."""
        with self._trying_again():
            self._job(table).stop_orphans(context)

    def _job(self, table: str) -> "GlueJob":
        from resources.glue_pipes import GlueJob  # noqa: PLC0415 - imports boto3

        name = glue_job(self.job_prefix, table)
        return GlueJob(name, self.exchange, self.start_minutes, self.poll_seconds)

    @contextmanager
    def _trying_again(self) -> Iterator[None]:
        """Let Dagster repeat a step that failed for a reason which may pass: never refused data."""
        try:
            yield
        except dg.Failure as failure:
            if not failure.allow_retries or not self.retries:
                raise
            raise dg.RetryRequested(self.retries, self.retry_seconds) from failure


def runner(settings: Settings) -> LocalRunner | GlueRunner:
    """The runner that the settings name. Raises SettingsError where Glue cannot reach the lake."""
    by, lakehouse, locks = engine(settings), settings.lakehouse, settings.locks
    limits = settings.limits
    if settings.runner is RunnerName.LOCAL:
        return LocalRunner(engine=by, lakehouse=lakehouse, locks=locks, limits=limits)
    return GlueRunner(
        engine=by,
        lakehouse=lakehouse,
        locks=locks,
        limits=limits,
        job_settings=settings.of_a_job(),
        job_prefix=settings.glue_job_prefix,
        exchange=f"{settings.deployment or f'{settings.root}/deployment'}/pipes",
        start_minutes=settings.glue_start_minutes,
        poll_seconds=settings.glue_poll_seconds,
        retries=settings.glue_retries,
        retry_seconds=settings.glue_retry_seconds,
        dpu_hour_usd=settings.glue_dpu_hour_usd,
    )


def executor(settings: Settings) -> dg.ExecutorDefinition:
    """How a run's steps are carried out: one after the other where they share an engine.

    Glue jobs have one each; several at once make a run as long as its longest chain of tables.
    """
    if settings.runner is RunnerName.GLUE:
        return dg.multiprocess_executor.configured({"max_concurrent": settings.glue_jobs_at_once})
    return dg.in_process_executor


def _run_here(
    by: LocalRunner | GlueRunner,
    table: str,
    dates: Sequence[date],
    run_id: str,
    *,
    replay: bool = False,
) -> Result:
    """Bring one table up to date in this process, as its only writer. Raises BusyError."""
    lake = by.lakehouse.lake()
    with _only_writer(lake, by.locks, table, run_id):
        session = by.engine.session()
        return run_table(session, lake, table, dates, run_id, by.limits, replay=replay)


@contextmanager
def _only_writer(lake: Lake, locks: Locks, table: str, run_id: str) -> Iterator[None]:
    """Be the table's one writer of this machine. Raises BusyError."""
    ledger = Ledger(lake)
    if ledger.state().unfinished:  # a restore that died halfway goes first
        with locks.all_tables():
            restore.finish(ledger, run_id)
    with locks.one_writer(table):
        yield
