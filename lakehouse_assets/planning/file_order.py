"""Which files count as older than one of their folder that landed before them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

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
        landed = {
            past.path: max(f.seq for f in past.open if f.digest == past.in_force)
            for past in there
            if past.in_force
        }
        for past in there:
            last = past.last
            refused = last and past.standing and past.in_force != last.digest
            if past.path not in paths or last is None or refused:
                continue
            judged = past.judgements.get(last.digest or "")
            if judged and 0 < judged.read == judged.repairs:
                continue
            before = [other for other, seq in landed.items() if seq < last.seq]
            newest = max([*before, past.path], key=lambda path: natural(path.file))
            if newest != past.path:
                yield f"{past.path}: landed after {newest}, counts as older"
