"""Fixtures of the git tests (a plugin, so that two test files share them)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from git_client import Installation, WorkTree


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, schema: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("git"), schema)
    yield installation
    installation.stop()


@pytest.fixture
def platform(running: Installation) -> Installation:
    """A daemon with a new app `shop`."""
    running.begin_again()
    return running


@pytest.fixture
def tree(tmp_path: Path, platform: Installation) -> WorkTree:
    return WorkTree(tmp_path / "tree", platform)
