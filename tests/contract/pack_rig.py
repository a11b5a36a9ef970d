"""A builder for the tests of one pack, and what they have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop
from builder_rig import Builder, Built
from containers_lxc import STACK, agent_installation, missing

from pogo.containers.agent import AgentContainers

APPS = Path(__file__).parent / "apps"
EXAMPLES = Path(__file__).parents[2] / "examples"
Scenario = Callable[[Builder], Awaitable[None]]
Runner = Callable[[Scenario], None]
Record = Callable[[str, object], None]


@contextmanager
def builders(directory: Path) -> Iterator[Runner]:
    """Runs scenarios with a builder on a real agent of their own; skips where containers cannot be run."""
    if reason := missing():
        pytest.skip(reason)
    with agent_installation() as agent:

        async def with_builder(scenario: Scenario) -> None:
            await scenario(Builder(AgentContainers(agent.installation.socket), STACK, directory))

        yield lambda scenario: uvloop.run(with_builder(scenario))


def note(record: Record, *builds: Built, name: str = "") -> None:
    """Times of first and second build go to the report of the tests and, with -s, to the screen."""
    for ordinal, built in zip(("first", "second", "third"), builds, strict=False):
        compile_s, pack_s = built.seconds
        record(f"{name}{ordinal}_build_s", round(compile_s + pack_s, 2))
        size = built.slug.stat().st_size
        print(f"{name}{ordinal} build: compile {compile_s:.2f} s, pack {pack_s:.2f} s, slug {size} bytes")
