"""One whole platform for all end-to-end tests of a run: making it takes a quarter of a minute.

POGO_TEST_STORE=ceph: its objects are on a real Ceph.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from installation import Installation, reserve


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """Running, with the first app `hello`. Tests make apps of their own and may kill and restart all of it."""
    on_ceph = os.environ.get("POGO_TEST_STORE") == "ceph"
    store = request.getfixturevalue("ceph").settings("pogo-e2e") if on_ceph else {}
    installation = reserve()
    try:
        installation.up(**store)
        yield installation
    finally:
        installation.remove()
