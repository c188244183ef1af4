"""PostgreSQL and ECS as Dagster's tasks find them on AWS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from _ecs import Cluster
from _postgres import Postgres, programs

from deploy.cdk.config import ENVIRONMENTS
from tests.deploy.templates import Templates, write
from tests.torture._store import Store


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    folder = programs()
    assert folder, "demanded by needs_postgres"
    with Postgres(folder) as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[Store]:
    with Store() as store:
        yield store


@pytest.fixture(scope="session")
def cluster(moto: Store) -> Iterator[Cluster]:
    with Cluster(moto.environment(failing=False)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Templates]:
    """Every environment's templates by its name: written once, which takes half a minute."""
    folder = write(tmp_path_factory.mktemp("templates"))
    return {name: Templates(name, folder / name) for name in ENVIRONMENTS}
