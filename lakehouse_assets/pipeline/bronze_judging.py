"""Each content read gets its judgement: admitted, held or unreadable, by itself alone."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from lakehouse_assets.pipeline.bronze_reading import Staged, Summary
from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.pipeline.workspace import among
from lakehouse_assets.store.facts import Admitted, Fact, Held, Judgement, Landed, Unreadable
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.contract import Dataset


def judge(
    dataset: Dataset, state: State, staged: Staged, stamps: Mapping[FilePath, str], run_id: str
) -> list[Fact]:
    """Facts: what landed by being read, then what was found in each content.

    ``stamps`` are those of the files at their paths.
    """
    faulty = _faulty_rows(dataset, staged)
    landed: list[Fact] = []
    verdicts: list[Fact] = []
    for summary in staged.summaries:
        path, digest, past = summary.path, summary.digest, state.at(summary.path)
        # Bytes at the path itself that are not those landed last land by being read.
        if summary.at_path and (not past.last or past.last.digest != digest):
            landed.append(Fact(Landed("run", stamps.get(path, "")), path, digest, run_id))
        verdict = _verdict(dataset, summary, faulty.get(summary.content, 0))
        if digest in past.admitted:  # a recorded decision; what is new is that it has been read
            verdict = past.judgements.get(digest, verdict)
        verdicts.append(Fact(verdict, path, digest, run_id))
    return landed + verdicts


def _faulty_rows(dataset: Dataset, staged: Staged) -> dict[str, int]:
    """How many rows break a rule, by content, for those large enough to be held."""
    large = [s.content for s in staged.summaries if s.read >= dataset.hold.least_rows]
    if not large:
        return {}
    rows = judged(staged.rows.where(among("_content", large)), dataset)
    counted = rows.where("size(_own) > 0").groupBy("_content").count().collect()
    return {row["_content"]: row["count"] for row in counted}


def _verdict(dataset: Dataset, summary: Summary, faulty: int) -> Judgement:
    read, error = summary.read, summary.error
    kind: type[Judgement] = Admitted
    limit = dataset.hold
    if error is not None:
        kind = Unreadable
    elif read >= limit.least_rows and faulty > Fraction(str(limit.share)) * read:
        kind = Held
        error = (
            f"held: {faulty:,} of {read:,} rows break a rule, more than {limit.share:.0%}; "
            "mend the file and land it again, or let it in with lakehouse accept"
        )
    return kind(
        read=read,
        faulty=faulty,
        error=error,
        sheets=summary.sheets,
        rules=dataset.rules_digest,
        unexpected=summary.unexpected,
        repairs=summary.repairs,
        headers=dataset.headers,
        warnings=summary.warnings,
        notes=summary.notes,
    )
