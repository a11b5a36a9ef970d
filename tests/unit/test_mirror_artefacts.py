"""What the mirror keeps: whole or not there, made once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pogo.mirror import CannotMake
from pogo.mirror.artefacts import FileArtefacts

KEY = "node/node-v22.tar.gz"


async def write(path: Path) -> None:
    path.write_bytes(b"whole")


def test_a_file_is_made_once_and_found_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        kept, made = FileArtefacts(tmp_path), 0

        async def slowly(path: Path) -> None:
            nonlocal made
            made += 1
            await asyncio.sleep(0.05)
            assert kept.find(KEY) is None
            path.write_bytes(b"whole")

        found = await asyncio.gather(*(kept.get(KEY, slowly) for _ in range(20)))
        assert (made, {*found}) == (1, {tmp_path / KEY})
        assert (tmp_path / KEY).read_bytes() == b"whole"
        assert FileArtefacts(tmp_path).find(KEY) == tmp_path / KEY
        assert kept.size()[0] == 1
        assert not list(tmp_path.rglob(".*"))

    asyncio.run(scenario())


def test_what_nobody_asks_for_is_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        kept = FileArtefacts(tmp_path)
        old, asked = "node/old.tar.gz", KEY
        for key in (old, asked):
            place = await kept.get(key, write)
            os.utime(place.with_name(place.name + ".sha256"), (1, 1))
        assert await kept.get(asked, write) == tmp_path / asked
        assert kept.prune(3600) == 1
        assert kept.find(old) is None
        assert [path.name for path in (tmp_path / "node").iterdir() if "old" in path.name] == []
        assert kept.find(asked) == tmp_path / asked
        assert kept.prune(3600) == 0

    asyncio.run(scenario())


def test_who_goes_away_does_not_stop_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        kept = FileArtefacts(tmp_path)
        go = asyncio.Event()

        async def slowly(path: Path) -> None:
            await go.wait()
            await write(path)

        first = asyncio.create_task(kept.get(KEY, slowly))
        await asyncio.sleep(0.01)
        first.cancel()
        second = asyncio.create_task(kept.get(KEY, slowly))
        await asyncio.sleep(0.01)
        go.set()
        assert (await second).read_bytes() == b"whole"

    asyncio.run(scenario())


def test_what_cannot_be_made_is_told_to_all_and_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        kept = FileArtefacts(tmp_path)

        async def badly(path: Path) -> None:
            path.write_bytes(b"half")
            await asyncio.sleep(0.01)
            raise CannotMake("the registry is away")

        told = await asyncio.gather(*(kept.get(KEY, badly) for _ in range(3)), return_exceptions=True)
        assert [str(one) for one in told] == ["the registry is away"] * 3
        assert kept.find(KEY) is None
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
        assert (await kept.get(KEY, write)).read_bytes() == b"whole"

    asyncio.run(scenario())


def test_what_a_power_cut_has_cut_is_made_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        kept = FileArtefacts(tmp_path)
        place = await kept.get(KEY, write)
        place.write_bytes(b"who")
        assert kept.find(KEY) is None
        assert (await kept.get(KEY, write)).read_bytes() == b"whole"
        place.with_name(f"{place.name}.sha256").unlink()
        assert kept.find(KEY) is None

    asyncio.run(scenario())


def test_what_killed_makers_left_is_swept_but_not_what_living_ones_write(tmp_path: Path) -> None:
    kept = FileArtefacts(tmp_path)
    (tmp_path / "node").mkdir()
    dead, living = tmp_path / "node" / ".a.tar.gz.4194305-12ab34cd", tmp_path / "node" / f".b.{os.getpid()}-12ab34cd"
    for file in (dead, living):
        file.write_text("half")
    assert kept.sweep() == 1
    assert (dead.exists(), living.exists()) == (False, True)


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../b", ".a", "a/.b", "a.sha256"])
def test_a_key_stays_in_the_directory(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        FileArtefacts(tmp_path).find(key)
