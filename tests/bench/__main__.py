"""`make bench`: a small and a large day, raw to gold, after a short and a long history.

Five contenders do the same work on the same files, in one run of this program: the product on
Sail, the same code on local Spark, and three scripts written by hand with the same rules and
outputs: with DuckDB, with Polars (both write by delta-rs), and with plain PySpark, on a Spark that
is tuned as the product tunes its own. Each day runs in a process of its own. What they publish is
compared by value before anything is printed.

Figures: CPU-seconds of the work alone (children and JVM included, imports and engine start not),
of the whole process, ratios, peak memory of all processes together, what was written, and how often
the embedded engine was asked. Each is the median of several runs, in which the contenders take
turns; the spread is that of the work's CPU seconds. The scripts make no star schema: what the
product spends on that stands by itself, and is in the whole process. `bench.json` has all figures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.measure import FIRST, Watched, cpu_seconds, family, hashes, peak_kib
from tests.support import PROJECT

SIZES = {"small": (2_000, 10), "large": (50_000, 10)}
SCRIPTS = ("duckdb", "polars", "pyspark")
CONTENDERS = ("sail", "spark", *SCRIPTS)
HISTORY_ORDERS = 2_000


def main() -> None:
    """Prepare, time, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", default="2,60", help="days of history, by commas")
    parser.add_argument("--sizes", default="small,large")
    parser.add_argument("--engines", default=",".join(CONTENDERS))
    parser.add_argument("--runs", type=int, default=5, help="of each contender")
    parser.add_argument("--json", default="bench.json")
    parser.add_argument(
        "--work", nargs=3, metavar=("CONTENDER", "ROOT", "RUNS"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.work:
        _work(*options.work)
        return
    engines = options.engines.split(",")
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        for history in map(int, options.histories.split(",")):
            lakes = histories(Path(folder), history, engines)
            for size in options.sizes.split(","):
                results += _compare(Path(folder), lakes, history, size, engines, options.runs)
    Path(options.json).write_text(json.dumps(results, indent=2))
    _print(results)


def histories(folder: Path, history: int, engines: list[str]) -> dict[str, Path]:
    """A lake with that many small days absorbed, for the product and for the scripts."""
    base = folder / f"history-{history}"
    days = [FIRST + timedelta(days=i) for i in range(history + 1)]
    for file in _small_days(new_shop(), history):
        put(base, file)
    lakes = {}
    for maker in dict.fromkeys(map(_maker, engines)):
        lakes[maker] = folder / f"{maker}-{history}"
        shutil.copytree(base, lakes[maker])
        timed(maker, lakes[maker], days)
    return lakes


def _small_days(shop: Any, number: int) -> Iterator[Any]:
    """The files of a shop's first so many days, with its products before them."""
    yield from (file for file in shop.seed_files(FIRST) if file.dataset == "products")
    for day in (FIRST + timedelta(days=i) for i in range(1, number + 1)):
        yield from shop.day(day, orders=HISTORY_ORDERS, items_per_order=10, mess=0)


def _maker(contender: str) -> str:
    """Who makes the lake that a contender begins with: scripts read each other's tables."""
    return "duckdb" if contender in SCRIPTS else "sail"


def _compare(
    folder: Path, lakes: dict[str, Path], history: int, size: str, engines: list[str], runs: int
) -> list[dict[str, Any]]:
    day = FIRST + timedelta(days=history + 1)
    files = files_after(history, *SIZES[size])
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in engines}
    said: dict[str, dict[str, str]] = {}
    for engine in engines * runs:
        root = folder / f"{engine}-{history}-{size}"
        shutil.copytree(lakes[_maker(engine)], root)
        for file in files:
            put(root, file)
        before = _files(root)
        found[engine].append(timed(engine, root, [day]))
        written = [size for path, size in _files(root).items() if path not in before]
        found[engine][-1] |= {"files": len(written), "mib": round(sum(written) / 2**20, 1)}
        said[engine] = hashes(root)
        if len({json.dumps(h, sort_keys=True) for h in said.values()}) > 1:
            raise SystemExit(f"the contenders disagree: {json.dumps(said, indent=2)}")
        print(f"{size} day after {history} days, {engine}: {found[engine][-1]}", flush=True)
        shutil.rmtree(root)
    return [
        {"engine": engine, "history": history, "size": size, **_middle(found[engine])}
        for engine in engines
    ]


def files_after(history: int, orders: int, items_per_order: int) -> list[Any]:
    """The files of the day after so many small days."""
    shop = new_shop()
    for _ in _small_days(shop, history):  # the same shop, so that ids go on where history ended
        pass
    day = FIRST + timedelta(days=history + 1)
    found: list[Any] = shop.day(day, orders=orders, items_per_order=items_per_order, mess=0)
    return found


def _middle(runs: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure, and by how much of it the work's CPU seconds differ."""
    middle = {name: median(run[name] for run in runs) for name in runs[0]}
    cpu = [run["work_cpu"] for run in runs]
    return middle | {"spread": round((max(cpu) - min(cpu)) / middle["work_cpu"], 2)}


def _files(root: Path) -> dict[Path, int]:
    """The files of a lake's tables with their bytes."""
    return {p: p.stat().st_size for p in (root / "processed").rglob("*") if p.is_file()}


def new_shop() -> Any:
    """A shop of a thousand products, before its first day."""
    from data.generate import Shop, Size

    return Shop(7, Size(products=1_000, users=20_000, orders_per_day=10, items_per_order=5, days=1))


def put(root: Path, file: Any) -> None:
    """Let a file land in a lake."""
    path = root / "raw" / file.dataset / file.batch_date.isoformat() / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)


def timed(contender: str, root: Path, *runs: list[date]) -> dict[str, float]:
    """Let one contender do runs of these dates, one after the other, in a process of its own.

    Figures in CPU-seconds, seconds and MiB.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    listed = ";".join(",".join(day.isoformat() for day in days) for days in runs)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench", "--work", contender, str(root), listed],
        cwd=PROJECT,
        env={**os.environ, "LAKEHOUSE_ROOT": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with Watched(process.pid) as watched:
        told, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{contender} failed:\n{errors[-4000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    work = json.loads(told.splitlines()[-1])
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "work_cpu": round(work["cpu"], 2),
        "work_wall": round(work["wall"], 2),
        "marts_cpu": round(work["marts"], 2),
        "calls": work["calls"],
        "process_cpu": round(max(whole, work["cpu"]), 2),
        "process_wall": round(time.perf_counter() - started, 2),
        "peak_mib": round(max(work["peak_mib"], watched.peak_kib / 1024)),
    }


def _work(contender: str, root: str, listed: str) -> None:
    """In the contender's own process: start, then time only the work."""
    runs = [[date.fromisoformat(d) for d in days.split(",")] for days in listed.split(";")]
    marts, calls, in_marts = 0.0, [0], 0
    if contender in SCRIPTS:
        script = import_module(f"tests.bench.{contender}_script")
        given = _sessions(contender)
        us = family(os.getpid())
        cpu, started = cpu_seconds(us), time.perf_counter()
        for days in runs:
            script.run(Path(root), days, *given)
    else:
        os.environ["LAKEHOUSE_ENGINE"] = contender
        from lakehouse_assets.pipeline.run_table import run_table
        from lakehouse_assets.tables.contract import Layer
        from lakehouse_assets.tables.jobs import jobs
        from lakehouse_assets.tables.registry import DERIVED, table_ids
        from resources.engines import engine, spark_session
        from resources.settings import Settings

        settings = Settings.load()
        chosen = engine(settings)
        session = spark_session() if contender == "spark" else chosen.session()
        session.sql("SELECT 1").collect()
        lake = settings.lake()
        of_star = [name for name, it in DERIVED.items() if it.table.layer == Layer.MART]
        if contender == "sail":
            calls = _counted()
        jobs()  # imports what reads the contracts' SQL
        us = family(os.getpid())
        cpu, started = cpu_seconds(us), time.perf_counter()
        for table, days in ((table, days) for days in runs for table in table_ids()):
            before, asked = cpu_seconds(us), len(calls)
            run_table(session, lake, table, days, "bench")
            if table in of_star:
                marts += cpu_seconds(us) - before
                in_marts += len(calls) - asked
    result = {
        "cpu": cpu_seconds(us) - cpu - marts,
        "marts": marts,
        "calls": sum(calls) - in_marts,
        "wall": time.perf_counter() - started,
        "peak_mib": peak_kib() / 1024,
    }
    print(json.dumps(result), flush=True)
    sys.stdout.flush()
    os._exit(0)


def _sessions(contender: str) -> list[Any]:
    """What a script is given besides its work: a Spark that has started, where it asks for one."""
    if contender != "pyspark":
        return []
    from resources.engines import spark_session

    session = spark_session()
    session.sql("SELECT 1").collect()
    return [session]


def _counted() -> list[int]:
    """A list with a number for each query and command that Spark Connect sends from now on."""
    from pyspark.sql.connect.client import SparkConnectClient

    calls: list[int] = []
    send: Any = vars(SparkConnectClient)["_execute_and_fetch_as_iterator"]

    def counted(self: SparkConnectClient, *more: Any, **options: Any) -> Any:
        calls.append(1)
        return send(self, *more, **options)

    SparkConnectClient._execute_and_fetch_as_iterator = counted  # type: ignore[method-assign]
    return calls


def _print(results: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    base = {(r["history"], r["size"]): r["work_cpu"] for r in results if r["engine"] == "duckdb"}
    columns = ("work CPU s", "spread", "× DuckDB", "marts CPU s", "process CPU s", "wall s")
    table = Table("day", "history", "engine", *columns, "peak MiB", "written", "calls")
    for r in results:
        ratio = r["work_cpu"] / base.get((r["history"], r["size"]), r["work_cpu"])
        table.add_row(
            r["size"],
            str(r["history"]),
            r["engine"],
            f"{r['work_cpu']:.2f}",
            f"{r['spread']:.0%}",
            f"{ratio:.2f}",
            f"{r['marts_cpu']:.2f}",
            f"{r['process_cpu']:.2f}",
            f"{r['process_wall']:.1f}",
            f"{r['peak_mib']:,.0f}",
            f"{r['files']:.0f} files, {r['mib']} MiB",
            f"{r['calls']:.0f}" if r["calls"] else "",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
