"""Fixtures that several tests share."""

import pytest

from kgmed.engine import Engine, load_engine
from kgmed.graph import KnowledgeGraph


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine over the graph that ships with kgmed."""
    return load_engine()


@pytest.fixture(scope="session")
def graph(engine: Engine) -> KnowledgeGraph:
    """The graph that ships with kgmed."""
    return engine.graph
