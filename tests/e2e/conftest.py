"""One whole platform for all end-to-end tests of a run: making it takes a quarter of a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from installation import Installation, reserve


@pytest.fixture(scope="session")
def platform() -> Iterator[Installation]:
    """Running, with the first app `hello`. Tests make apps of their own and may kill and restart all of it."""
    installation = reserve()
    try:
        installation.up()
        yield installation
    finally:
        installation.remove()
