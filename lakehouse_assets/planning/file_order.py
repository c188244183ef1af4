"""Which files count as older than one of their folder that landed before them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator
from itertools import accumulate
from operator import itemgetter

from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.natural_order import natural


def counting_as_older(state: State, paths: Collection[FilePath]) -> Iterator[str]:
    """A line for each of these files that landed after one of its folder and counts as older.

    The line names, of those in force that landed before it, the one that counts as newest. What
    is held or cannot be read counts for nothing, and so has no line; nor has one of whose rows
    each takes the place of the row that it mends.
    """
    folders = {(path.dataset, path.batch_date) for path in paths}
    for dataset, day in sorted(folders):
        there = state.of(dataset, [day])
        landed = sorted(
            (max(f.seq for f in past.open if f.digest == past.in_force), past.path)
            for past in there
            if past.in_force
        )
        newest = list(accumulate((path for _, path in landed), _newer))
        for past in there:
            last = past.last
            refused = last and past.standing and past.in_force != last.digest
            if past.path not in paths or last is None or refused:
                continue
            judged = past.judgements.get(last.digest or "")
            if judged and 0 < judged.read == judged.repairs:
                continue
            before = bisect_left(landed, last.seq, key=itemgetter(0))
            winner = newest[before - 1] if before else past.path
            if _newer(past.path, winner) != past.path:
                yield (
                    f"{past.path}: landed after {winner}, counts as older: of a row that both "
                    f"have, {winner.file} wins; give a correction a later --date or name"
                )


def _newer(one: FilePath, other: FilePath) -> FilePath:
    """Of two files of a folder the one that counts as newer."""
    return max(one, other, key=lambda path: natural(path.file))
