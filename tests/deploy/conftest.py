"""PostgreSQL and ECS as Dagster's tasks find them on AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from deploy.cdk.config import ENVIRONMENTS
from tests.support import Once
from tests.support.ecs import Cluster
from tests.support.object_store import Store
from tests.support.postgres import Postgres, programs
from tests.support.templates import Templates, write


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Takes a line about what a test has counted; all of them stand at the end of the session."""
    return lambda line: record_property("counted", line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shown whoever ran the tests, in this process or in workers'."""
    lines = [
        str(line)
        for report in terminalreporter.getreports("passed")
        for name, line in report.user_properties
        if name == "counted"
    ]
    if lines:
        terminalreporter.section("counted")
        terminalreporter.write("\n".join(sorted(lines)) + "\n")


@pytest.fixture(scope="session")
def new_postgres() -> Callable[[], Postgres]:
    """Makes a server for whom what others have left in the session's is in the way."""
    folder = programs()
    assert folder, "demanded by needs_postgres"
    return lambda: Postgres(folder)


@pytest.fixture(scope="session")
def postgres(new_postgres: Callable[[], Postgres]) -> Iterator[Postgres]:
    with new_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def cluster(store: Store) -> Iterator[Cluster]:
    with Cluster(store.environment(failing=False)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def written(once: Once) -> dict[str, Templates]:
    """Every environment's templates by its name: written once, which takes half a minute."""
    folder = once("templates", write)
    return {name: Templates(name, folder / name) for name in ENVIRONMENTS}
