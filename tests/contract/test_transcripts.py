"""Output of builds and release phases on real files."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from pogo.errors import NotFound
from pogo.logs.transcripts import CHUNK, Transcripts


async def whole(transcripts: Transcripts, id: str, offset: int = 0) -> bytes:
    async with asyncio.timeout(20):
        return b"".join([data async for data in transcripts.follow(id, offset)])


def test_output_is_kept_byte_for_byte(tmp_path: Path) -> None:
    transcripts = Transcripts(tmp_path)
    assert not transcripts.exists("b-1")
    with pytest.raises(NotFound):
        transcripts.read("b-1")
    transcripts.append("b-1", b"\xff\0half ")
    transcripts.append("b-1", b"line\r\n")
    assert transcripts.exists("b-1")
    assert not transcripts.finished("b-1")
    assert transcripts.read("b-1") == b"\xff\0half line\r\n"


def test_followers_see_it_live_until_its_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        transcripts = Transcripts(tmp_path)
        early = asyncio.create_task(whole(transcripts, "b-1"))
        await asyncio.sleep(0.02)
        transcripts.append("b-1", b"one ")
        late = asyncio.create_task(whole(transcripts, "b-1", 2))
        await asyncio.sleep(0.02)
        thread = threading.Thread(target=transcripts.append, args=("b-1", b"two"))
        thread.start()
        await asyncio.sleep(0.02)
        assert not early.done()
        assert not late.done()
        transcripts.finish("b-1")
        assert await early == b"one two"
        assert await late == b"e two"
        assert await whole(transcripts, "b-1") == b"one two"
        assert await whole(transcripts, "b-1", 7) == b""
        thread.join()

    asyncio.run(scenario())


def test_the_end_survives_a_restart_of_the_platform(tmp_path: Path) -> None:
    before = Transcripts(tmp_path)
    before.append("b-1", b"done")
    before.finish("b-1")
    before.finish("b-2")
    after = Transcripts(tmp_path)
    assert asyncio.run(whole(after, "b-1")) == b"done"
    assert asyncio.run(whole(after, "b-2")) == b""
    assert after.exists("b-2")
    assert after.read("b-2") == b""


def test_output_collected_again_doubles_nothing_for_a_follower(tmp_path: Path) -> None:
    async def scenario() -> None:
        transcripts = Transcripts(tmp_path)
        transcripts.append("b-1", b"one two ")
        transcripts.finish("b-1")
        transcripts.restart("b-1")
        assert not transcripts.finished("b-1")
        following = asyncio.create_task(whole(transcripts, "b-1", 8))
        for data in (b"one ", b"two ", b"three ", b"four"):
            await asyncio.sleep(0.01)
            transcripts.append("b-1", data)
        transcripts.finish("b-1")
        assert await following == b"three four"

    asyncio.run(scenario())


def test_too_much_output_is_cut_once_and_said(tmp_path: Path) -> None:
    transcripts = Transcripts(tmp_path, max_bytes=10)
    for data in ("12345678", "9€", "more", "more"):
        transcripts.append("b-1", data.encode())
    text = transcripts.read("b-1").decode()
    assert text == "123456789\n !     Output was cut here: it is longer than 10 bytes.\n"
    exact = Transcripts(tmp_path / "exact", max_bytes=4)
    exact.append("b-1", b"1234")
    assert exact.read("b-1") == b"1234"
    exact.append("b-1", b"5")
    exact.append("b-1", b"6")
    assert exact.read("b-1").startswith(b"1234\n !     Output was cut")
    assert exact.read("b-1").count(b"cut") == 1


def test_removal_ends_followers_and_leaves_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        transcripts = Transcripts(tmp_path)
        transcripts.append("b-1", b"one")
        following = asyncio.create_task(whole(transcripts, "b-1"))
        await asyncio.sleep(0.05)
        transcripts.remove("b-1")
        assert await following == b"one"
        assert not transcripts.exists("b-1")
        assert list(tmp_path.iterdir()) == []
        transcripts.remove("b-1")

    asyncio.run(scenario())


def test_a_fast_writer_and_many_followers(tmp_path: Path) -> None:
    async def scenario() -> None:
        transcripts = Transcripts(tmp_path)
        lines = [f"{number} {'x' * 200}\n".encode() for number in range(3000)]

        def write() -> None:
            for data in lines:
                transcripts.append("b-1", data)
            transcripts.finish("b-1")

        followers = [asyncio.create_task(whole(transcripts, "b-1")) for _ in range(5)]
        started = time.monotonic()
        await asyncio.to_thread(write)
        for follower in followers:
            assert await follower == b"".join(lines)
        assert len(b"".join(lines)) > CHUNK
        assert time.monotonic() - started < 10

    asyncio.run(scenario())


@pytest.mark.parametrize("id", ["", "..", "a/b", "A"])
def test_ids_are_checked(tmp_path: Path, id: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a transcript"):
        Transcripts(tmp_path).append(id, b"x")
