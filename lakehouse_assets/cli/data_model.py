"""The data model as a page in Markdown, made of the contracts: ``lakehouse tables --markdown``.

It is of the tables that ``LAKEHOUSE_TABLES`` names, so another shop has a page of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from html import escape
from typing import Final

from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.queries.named import named_queries
from lakehouse_assets.queries.named import tables as queryable
from lakehouse_assets.tables import column_lineage
from lakehouse_assets.tables.contract import VALIDITY, Column, Dataset, Derived, Layer, Table
from lakehouse_assets.tables.jobs import derived_job, dimensions, upstream
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from lakehouse_assets.tables.rules import rules


def page() -> str:
    """The whole page: pictures of the tables, a part for each of them, and the named queries."""
    return "\n\n".join(_parts()) + "\n"


def _parts() -> Iterator[str]:
    yield "# Data model"
    yield (
        "<!-- Made of the contracts by `make docs` (lakehouse tables --markdown): "
        "change them, and make it anew. -->"
    )
    yield (
        "Every table: what one row of it is, its columns, the rules that its rows keep, where its "
        "values come from and how its files lie."
    )
    yield from _pictures()
    yield "## Silver"
    yield (
        "One table a dataset: the newest valid row of each key. Beside its columns each has those "
        "that say [where a row comes from](#every-dataset)."
    )
    for dataset in DATASETS.values():
        yield from _silver(dataset)
    for layer, told in _DERIVED.items():
        if of_layer := [t for t in DERIVED.values() if t.layer == layer]:
            yield f"## {layer.capitalize()}"
            yield told
            for derived in of_layer:
                yield from _derived(derived)
    if kept := [d for d in DATASETS.values() if d.keep_history]:
        yield "## History"
        yield "What rows have said, by batch date; beside silver, and with the same columns."
        for dataset in kept:
            yield from _history(dataset)
    yield from _generic()
    yield "## Ledger"
    yield "What landed, what was decided and what became of it. It is only ever appended to."
    for name, table in queryable().items():
        if name.startswith("ledger."):
            yield f"### {name}"
            yield _text(table.description)
            yield _table(
                ("column", "type", "meaning"),
                ((f"`{c.name}`", _text(c.type), _text(c.description)) for c in table.columns),
            )
    yield from _queries()


_DERIVED: Final = {
    Layer.GOLD: (
        "Each table is one `SELECT` over silver. It follows silver by its unit: where a row "
        "changes, the units that it touches are computed again, whole."
    ),
    Layer.MART: (
        "A star schema, upkept as gold is: dimensions, whose surrogate keys are a function of "
        "what they stand for, and facts, each of whose keys is in its dimension."
    ),
}
"""What is said of each layer that derives from silver."""


# ------------------------------------------------------------------------------------- pictures


def _pictures() -> Iterator[str]:
    flow = ["flowchart LR"]
    for name in DATASETS:
        flow += [
            f'  raw_{name}["raw/{name}"] --> bronze_{name}["bronze.{name}"]',
            f'  bronze_{name} --> silver_{name}["silver.{name}"]',
        ]
    for name, made_of in upstream().items():
        if name in DERIVED:
            flow += [
                f'  {read.replace(".", "_")} --> {name.replace(".", "_")}["{name}"]'
                for read in made_of
            ]
    yield "What is made of what:"
    yield _fenced("mermaid", flow)
    keys = ["erDiagram"]
    for name, dataset in DATASETS.items():
        keys.append(f"  {name} {{")
        for column in dataset.columns:
            marks = ["PK"] * (column.name in dataset.key_columns) + ["FK"] * bool(column.references)
            if marks:
                kind = column.type.partition("(")[0]  # the picture's language has no commas there
                keys.append(f"    {kind} {column.name} {', '.join(marks)}")
        keys.append("  }")
    keys += [
        f"  {column.references} ||--o{{ {name} : {column.name}"
        for name, dataset in DATASETS.items()
        for column in dataset.foreign_keys
    ]
    yield "Keys (PK) and foreign keys (FK) of silver:"
    yield _fenced("mermaid", keys)


# --------------------------------------------------------------------------------------- tables


def _silver(dataset: Dataset) -> Iterator[str]:
    yield f"### {dataset.silver.id}"
    yield _text(dataset.description)
    facts = {"key": _names(dataset.key_columns)}
    facts["files"] = f"`raw/{dataset.name}/<batch date>/`"
    if written := _dialect(dataset.dialect):
        facts["written with"] = written
    facts["held"] = (
        f"a file of at least {dataset.hold.least_rows:,} rows, when more than "
        f"{dataset.hold.share * 100:g} % of them break a rule of their own"
    )
    yield _facts(facts, dataset.silver)
    by_column: dict[str, list[str]] = {}
    for rule in rules(dataset):
        if rule.column:
            kind = rule.name.removeprefix(f"{rule.column}.")
            column = dataset.silver.column(rule.column)
            by_column.setdefault(rule.column, []).append(_rule(kind, column))
    yield _table(
        ("column", "type", "from", "rules", "meaning"),
        (
            (
                f"`{c.name}`",
                _text(c.type),
                _source(c),
                ", ".join(by_column.get(c.name, ())),
                _text(c.description),
            )
            for c in dataset.columns
        ),
    )
    if dataset.row_rules:
        yield "Rows for which one of these is false are rejected:"
        yield _table(
            ("row rule", "what must be so", "SQL"),
            ((f"`{r.name}`", _text(r.description), _code(r.sql)) for r in dataset.row_rules),
        )
    if dataset.advice:
        yield "Warnings, which reject nothing:"
        yield _table(
            ("check", "what should be so"),
            ((f"`{a.name}`", _text(a.description)) for a in dataset.advice),
        )


def _history(dataset: Dataset) -> Iterator[str]:
    table = dataset.history
    yield f"### {table.id}"
    yield _text(table.description)
    yield _facts({"grain": _names([*dataset.key_columns, VALIDITY[0].name])}, table)
    yield _table(
        ("column", "type", "meaning"),
        ((f"`{c.name}`", _text(c.type), _text(c.description)) for c in VALIDITY),
    )


def _derived(derived: Derived) -> Iterator[str]:
    yield f"### {derived.table.id}"
    yield _text(derived.description)
    facts = {"grain": _names(derived.grain)}
    facts["made of"] = _names(read.id for read in derived_job(derived).reads)
    facts["unit"] = f"`{derived.unit}`" if derived.unit else "none: every change computes all of it"
    proofs = [
        f"`{proof.name}`: {_code(proof.gold)} is {_code(proof.silver)}"
        for proof in derived.reconciliations
    ]
    if proofs:
        facts["reconciled with silver"] = "<br>".join(proofs)
    if marts := dimensions(derived):
        facts["refers to"] = ", ".join(f"{_names([m.table.id])} by `{c}`" for c, m in marts.items())
    yield _facts(facts, derived.table)
    origins = column_lineage.columns(derived)
    yield _table(
        ("column", "type", "from", "meaning"),
        (
            (
                f"`{c.name}`",
                _text(c.type),
                _names(
                    f"{table.removeprefix('silver.')}.{name}" for table, name in origins[c.name]
                ),
                _text(c.description),
            )
            for c in derived.columns
        ),
    )


def _generic() -> Iterator[str]:
    """What every dataset's further tables have alike."""
    some = next(iter(DATASETS.values()))
    yield "## Every dataset"
    yield (
        "Beside silver each dataset has three tables, of the same name. Bronze and rejected have "
        "the columns of its files, as text. The columns below are what the four have besides."
    )
    tables = (some.silver, some.bronze, some.rejected, some.superseded)
    rows = {
        "silver": "the newest valid row of each key",
        "bronze": "every row of every file in force, as text",
        "rejected": "the rows that are rejected now, whole, and why",
        "superseded": "rows that a newer row of their key, or a repair, hides, and duplicates",
    }
    yield _table(
        ("table", "holds", "partitioned by"),
        (
            (
                f"`{t.layer}.<dataset>`",
                rows[t.layer],
                "as its contract says" if t.layer == Layer.SILVER else _names(t.partition_by),
            )
            for t in tables
        ),
    )
    own = {c.name: c for t in tables for c in t.columns if c.name.startswith("_")}
    yield _table(
        ("column", "type", "in", "meaning"),
        (
            (
                f"`{c.name}`",
                _text(c.type),
                ", ".join(t.layer for t in tables if c.name in t.names),
                _text(c.description),
            )
            for c in own.values()
        ),
    )
    general = [rule for rule in rules(some) if not rule.column and "." in rule.name]
    names = [*(rule.name for rule in general), "origin"]
    yield (
        f"Rules of every dataset: {_names(names)}. Of a column's rules, `required` wants a value, "
        "`type` one that its type can hold, `foreign_key` one that is published there. A rule's "
        "name is the column's and its own: `_rules` has `<column>.type`."
    )


def _queries() -> Iterator[str]:
    questions = named_queries().values()
    if questions:
        yield "## Named queries"
        yield "Those without parameters are views, too, in `views`."
        yield _table(
            ("query", "parameters", "answers"),
            ((f"`{q.name}`", _names(q.parameters, " "), _text(q.purpose)) for q in questions),
        )


# ---------------------------------------------------------------------------------------- parts


def _facts(facts: dict[str, str], table: Table) -> str:
    if table.partition_by:
        facts["partitioned by"] = _names(table.partition_by)
    if table.zorder_by:
        facts["z-ordered by"] = _names(table.zorder_by)
    job = table.capacity
    facts["Glue job"] = f"up to {job.workers} {job.worker_type}, {job.timeout_minutes} minutes"
    return _table(("", ""), facts.items())


def _source(column: Column) -> str:
    if column.derived:
        return _code(column.derived)
    return " or ".join(f"`{name}`" for name in (column.header or "", *column.aliases))


def _rule(kind: str, column: Column) -> str:
    limits = {
        "min": f" {column.minimum}",
        "max": f" {column.maximum}",
        "allowed": f" {', '.join(map(str, column.allowed or ()))}",
        "pattern": f" {_code(column.pattern or '')}",
        "foreign_key": f" of {column.references}",
    }
    return f"`{kind}`{limits.get(kind, '')}"


def _dialect(dialect: Dialect) -> str:
    """What of a dialect is not as usual."""
    usual = Dialect()
    return ", ".join(
        f"{f.name} {_code(str(value))}"
        for f in fields(dialect)
        if (value := getattr(dialect, f.name)) != getattr(usual, f.name)
    )


def _names(names: Iterable[str], between: str = ", ") -> str:
    return between.join(f"`{name}`" for name in names)


def _code(text: str) -> str:
    """A text as it stands, on one line; one that has backticks itself stands between two."""
    line = " ".join(text.split())
    return f"`` {line} ``" if "`" in line else f"`{line}`"


def _text(text: str) -> str:
    """A text of which nothing is markup: MAP<STRING,STRING> would be taken for a tag."""
    return escape(text, quote=False)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _fenced(language: str, lines: Sequence[str]) -> str:
    return "\n".join([f"```{language}", *lines, "```"])
