"""Every request of the platform's story, held against the policies of the synthesized templates.

Of both profiles: prod is guarded, with a Glue job a table; dev is frugal, and its run does it all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import pytest

from deploy.glue.build import build
from tests.deploy.kept_rights import HARMLESS, KEPT
from tests.support import Once
from tests.support.glue_runtime import LocalGlue
from tests.support.held import Held, hold, unused
from tests.support.iam import Statement, like
from tests.support.machine import needs_java, needs_postgres
from tests.support.object_store import Store
from tests.support.postgres import Postgres
from tests.support.resolved import Resolved, resolved
from tests.support.story import Story, Told
from tests.support.templates import Templates

pytestmark = [pytest.mark.deploy, needs_postgres, pytest.mark.timeout(3600)]

TAKEN_AWAY: Final = {
    "dev": (
        ("dagster-run", "kms:GenerateDataKey"),
        ("dagster-run", "s3:ListBucketVersions"),
        ("dagster-dagster", "sqs:ReceiveMessage"),
        ("dagster-dagster", "sns:Publish"),
        ("dagster-dagster", "iam:PassRole"),
    ),
    "prod": (
        ("job-silver-orders", "kms:Decrypt"),
        ("job-silver-orders", "s3:DeleteObject"),
        ("dagster-code", "sqs:DeleteMessage"),
        ("dagster-run", "glue:CreateTable"),
        ("dagster-daemon", "ecs:RunTask"),
    ),
}
"""Rights that are taken away, each by itself, to see that it is missed."""


@dataclass(frozen=True)
class Case:
    """An environment's account, and the story that was told in it."""

    account: Resolved
    told: Told

    @cached_property
    def held(self) -> Held:
        return hold(self.told.requests, self.account)


@pytest.fixture(
    scope="module",
    params=["dev", pytest.param("prod", marks=[needs_java, pytest.mark.spark, pytest.mark.long])],
)
def case(
    request: pytest.FixtureRequest,
    written: dict[str, Templates],
    once: Once,
    tmp_path_factory: pytest.TempPathFactory,
    new_postgres: Callable[[], Postgres],
) -> Iterator[Case]:
    """A story in an account, a database and a Glue of its own."""
    account = resolved(written[request.param])
    wheels = once("wheels", build) / "lakehouse.gluewheels.zip"
    folder = tmp_path_factory.mktemp("story")
    with (
        Store() as store,
        LocalGlue(folder / "glue", store, region="ap-south-1") as glue,
        new_postgres() as server,
    ):
        yield Case(account, Story(folder, account, glue, wheels).tell(server))


def harmless(line: str) -> bool:
    """Whether a refusal is on the list of those that harm nothing."""
    return any(like(pattern, line) for pattern in HARMLESS)


def test_nothing_is_refused(case: Case, counted: Callable[[str], None]) -> None:
    held, account = case.held, case.account
    for role, count in sorted(held.requests.items()):
        counted(f"the story: {count} requests of {role}")
    refused = [line for line in held.refused if not harmless(line)]
    assert not refused, "\n".join(refused)
    for line, count in held.refused.items():
        counted(f"the story: refused {count} times, and harmless: {line}")
    # Everyone has a part in it.
    assert account.inside == set(held.requests)
    assert "SUCCESS" in case.told.runs.values()


def test_rights_that_are_taken_away_are_missed(case: Case) -> None:
    for name, action in TAKEN_AWAY[case.account.name]:
        role = f"lakehouse-{case.account.name}-{name}"
        refused = hold(case.told.requests, case.account.without(role, action)).refused
        missed = {line for line in refused if not harmless(line)}
        assert missed, f"{role}: {action}"
        assert all(line.startswith(f"{role}: {action} on ") for line in missed)


def test_what_a_run_registers_it_must_be_let_to(case: Case) -> None:
    """As the policy once was: it named bronze, silver, gold and views, and the catalog has more."""
    role = f"lakehouse-{case.account.name}-dagster-run"
    more = ("rejected", "superseded", "ledger")

    def once(statement: Statement) -> Statement:
        kept = [it for it in statement.resources if not any(f"_{name}" in it for name in more)]
        return replace(statement, told={**statement.told, "Resource": kept})

    refused = hold(case.told.requests, case.account.changed(role, once)).refused
    missed = {line for line in refused if not harmless(line)}
    for name in more:
        assert any(line.startswith(f"{role}: glue:") and f"_{name}" in line for line in missed), (
            name
        )
    assert all(any(f"_{name}" in line for name in more) for line in missed)


def test_a_grant_that_nothing_uses_has_a_reason(case: Case, counted: Callable[[str], None]) -> None:
    found = sorted(unused(case.account, case.held))
    without = [line for line in found if not any(like(pattern, line) for pattern in KEPT)]
    assert not without, "say why these are kept, or take them away:\n" + "\n".join(without)
    for pattern, reason in KEPT.items():
        if lines := [line for line in found if like(pattern, line)]:
            counted(f"{case.account.name}: {len(lines)} unused of {pattern}: {reason}")
        else:  # of what dev lacks there is nothing; prod has everything
            assert case.account.name == "dev", f"{pattern}: nothing of the kind is unused any more"
