"""What a run, and the night's maintenance after it, ask of S3: what docs/cost.md counts with."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from data.generate import Shop, Size
from deploy.cost import RUN
from resources.s3_storage import S3Storage
from tests.support.commands import Lakehouse
from tests.support.object_store import BUCKET, Store, priced

pytestmark = [pytest.mark.aws, pytest.mark.slow]

_FIRST = date(2025, 1, 1)


def test_a_day_asks_no_more_than_the_page_counts_with(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third day of a small shop: files of other sizes are asked for as often."""
    environment = s3.environment(failing=True) | {"LAKEHOUSE_ROOT": f"s3://{BUCKET}/priced"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    house = Lakehouse(tmp_path, **environment, LAKEHOUSE_HOME=str(tmp_path / "home"))
    lake = S3Storage(environment["LAKEHOUSE_ROOT"])
    size = Size(products=200, users=500, orders_per_day=100, items_per_order=5, days=1)
    shop = Shop(7, size)
    files = [file for file in shop.seed_files(_FIRST) if file.dataset == "products"]
    for day in (_FIRST + timedelta(days=number) for number in range(3)):
        for file in [*files, *shop.day(day)]:
            lake.write(f"raw/{file.dataset}/{file.batch_date}/{file.name}", file.content)
        files = []
        before = s3.asked
        house.ok("run")
        house.ok("maintain")
        asked = s3.asked - before
    for price, count in priced(asked).items():
        assert RUN[price] / 2 < count <= RUN[price], asked
