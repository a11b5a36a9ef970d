"""Deploys and a broken release under constant load: no visitor notices."""

from __future__ import annotations

import time

import pytest
from installation import Installation
from load import Load
from small_apps import change, make, small
from waiting import eventually

DEPLOYS = 20


@pytest.mark.timeout(600)
def test_twenty_deploys_lose_no_request(platform: Installation) -> None:
    work = make(platform, "busy", small("v0"))
    platform.push(work)
    platform.pogo("ps:scale", "web=2", cwd=work)
    eventually(lambda: platform.pogo("ps", cwd=work).count(": up ") == 2)
    began = time.monotonic()
    with Load(platform, "busy") as load:
        for number in range(1, DEPLOYS + 1):
            said = change(platform, work, small(f"v{number}"))
            assert "Verifying deploy... done." in said
            eventually(lambda n=number: platform.get("busy").body.startswith(f"v{n} "))
        seconds = time.monotonic() - began
    print(f"{DEPLOYS * 60 / seconds:.0f} deploys a minute beside {load.requests / seconds:.0f} requests a second")
    assert load.failures == []
    versions = {text.partition(" ")[0] for text in load.answers}
    assert versions == {f"v{number}" for number in range(DEPLOYS + 1)}
    # Of the old ones nothing is left.
    eventually(lambda: len(list((platform.state / "run" / "c").glob("build-*"))) == 0)
    platform.pogo("destroy", "--confirm", "busy", cwd=work)
