"""What the sensors ask of S3 while nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from deploy.cost import LOOK, WHOLE_LOOK
from lakehouse_assets.defs.file_sensor import raw_files
from lakehouse_assets.defs.run_sensors import delay_sensor
from lakehouse_assets.store.lake import ARCHIVE
from resources.alerts import LogAlerts
from resources.s3_storage import S3Storage
from resources.settings import Settings
from tests.support.object_store import BUCKET, Store, priced

pytestmark = pytest.mark.aws

MOST = 20
"""Requests of a look that finds nothing new."""


@pytest.fixture
def settings(
    s3: Store, good_day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A lake on S3, behind the proxy that counts, in which a run has taken in every dataset."""
    for name, value in s3.environment(failing=True).items():
        monkeypatch.setenv(name, value)
    # What landed just now may be changed within the clock's grain: nobody waits for that here.
    monkeypatch.setattr("lakehouse_assets.planning.repeated_look.SETTLED_SECONDS", -60.0)
    lakehouse = good_day / "lakehouse"
    there = S3Storage(f"s3://{BUCKET}/idle")
    there.delete("")
    for zone in ("raw", "processed"):
        for file in (lakehouse / zone).rglob("*"):
            if file.is_file():
                there.write(file.relative_to(lakehouse).as_posix(), file.read_bytes())
    return Settings(root=there.root, home=tmp_path, settle_seconds=3600)


def looks(settings: Settings, sensor: dg.SensorDefinition) -> Callable[[], str | None]:
    """Evaluates a sensor, as one that is due: what it says where it starts nothing."""

    def look() -> str | None:
        with dg.DagsterInstance.ephemeral() as instance:
            given = {"alerts": LogAlerts(ui_url=settings.ui_url)}
            context = dg.build_sensor_context(instance, cursor=None, resources=given)
            return sensor.evaluate_tick(context).skip_message

    return look


@pytest.mark.parametrize(
    ("made", "says"),
    [(raw_files, "nothing is pending"), (delay_sensor, "0 file(s) late, 0 of them reported now")],
)
def test_a_look_with_nothing_new_is_one_listing_and_a_few_requests(
    settings: Settings, s3: Store, made: Callable[[Settings], dg.SensorDefinition], says: str
) -> None:
    look = looks(settings, made(settings))
    before = s3.asked
    assert look() == says
    whole = s3.asked - before
    assert whole.total() > MOST  # what each of them would be
    before = s3.asked
    for _ in range(10):
        assert look() == says
    idle = s3.asked - before
    assert idle.total() <= 10 * MOST
    assert idle["LIST"] == 10
    # What docs/cost.md counts with.
    assert priced(idle) == {price: 10 * count for price, count in LOOK.items()}
    assert priced(whole) == pytest.approx(WHOLE_LOOK, rel=0.05)


def test_what_comes_is_seen_by_the_next_look(settings: Settings) -> None:
    look = looks(settings, raw_files(settings))
    raw = settings.storage(f"{settings.root}/raw")
    assert look() == look() == "nothing is pending"
    raw.write(f"{ARCHIVE}/products/2025-04-15/some/products.csv", b"its bytes")
    assert look() == "nothing is pending"
    raw.write("products/2025-04-15/more.csv", b"product_id\n")
    assert look() == "2025-04-15: files are still arriving"
