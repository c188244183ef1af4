"""What the page says of cost is what the templates have, times the list of prices."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import date

import pytest

from deploy import cost
from deploy.cdk.config import ENVIRONMENTS, WarehouseKind
from deploy.cost import FREE, PRICED, batches, idle, prices, put, tables, warehouse
from tests.support import PROJECT
from tests.support.templates import Templates

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]

every = pytest.mark.parametrize("name", ENVIRONMENTS)
IDLE_DOLLARS, BATCH_DOLLARS = 110, 5
"""What a frugal environment may cost in a month, and what a million items may add to it."""


@pytest.fixture
def found(written: dict[str, Templates], name: str) -> cost.Templates:
    return cost.Templates(written[name].folder)


def test_the_page_is_what_the_templates_and_prices_say(written: dict[str, Templates]) -> None:
    page = (PROJECT / "docs" / "cost.md").read_text()
    made = tables(written["dev"].folder.parent)
    assert page == put(page, made), "python -m deploy.cost build/templates --page docs/cost.md"


def test_a_frugal_environment_is_cheap(
    written: dict[str, Templates], counted: Callable[[str], None]
) -> None:
    for name, environment in ENVIRONMENTS.items():
        found = cost.Templates(written[name].folder)
        assert found.guarded == environment.guarded
        month = sum(line.dollars for line in idle(found))
        more = sum(line.dollars for line in batches(found))
        counted(f"{name}: ${month:,.2f} in an idle month, ${more:,.2f} for a million items")
        if not environment.guarded:
            assert month <= IDLE_DOLLARS
            assert more <= BATCH_DOLLARS


@every
def test_every_type_has_a_price_or_costs_nothing(found: cost.Templates) -> None:
    assert not FREE & PRICED
    assert found.kinds <= FREE | PRICED


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("KMS::Key", "keys"),
        ("CloudWatch::Alarm", "alarms"),
        ("CloudWatch::Dashboard", "dashboards"),
        ("SecretsManager::Secret", "secret"),
    ],
)
@every
def test_lines_count_what_the_templates_have(
    written: dict[str, Templates], found: cost.Templates, name: str, kind: str, what: str
) -> None:
    """By another reader of the same templates."""
    there = sum(resource["Type"] == f"AWS::{kind}" for *_, resource in written[name].resources())
    assert [line.count for line in idle(found) if line.what == what] == [there]


def test_every_price_is_used_and_says_where_it_stands(written: dict[str, Templates]) -> None:
    found = [cost.Templates(templates.folder) for templates in written.values()]
    used = {line.price for it in found for line in [*idle(it), *batches(it)]}
    used |= {line.price for kind in WarehouseKind for line in warehouse(kind)}
    assert used == set(prices())
    for price in prices().values():
        assert price["page"].startswith("https://aws.amazon.com/")
        assert price["usd"] > 0
    known = tomllib.loads(cost.PRICES.read_text())["known"]
    assert isinstance(known, date)


def test_a_larger_month_is_a_larger_sum(written: dict[str, Templates]) -> None:
    """The arithmetic, by hand: half a CPU and four GB all month, and an address."""
    dev = {line.what: line for line in idle(cost.Templates(written["dev"].folder))}
    cpus, memory = dev["Dagster's tasks: CPUs"], dev["Dagster's tasks: memory"]
    assert cpus.dollars == pytest.approx(0.5 * 730 * 0.04048)
    assert memory.dollars == pytest.approx(4 * 730 * 0.004445)
    assert dev["Dagster's tasks: addresses"].dollars == pytest.approx(3.65)
    assert dev["interface endpoints"].count == 0
