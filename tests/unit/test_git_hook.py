"""The hook's reading of pogod's answer, and whose turn it is."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.errors import NotFound
from pogo.git import hook
from pogo.git.pushes import Push, Pushes
from pogo.model import App, User
from pogo.rules import submodules
from pogo.rules.git_refs import RefUpdate


def shown(pieces: list[bytes]) -> tuple[tuple[str, str], bytes]:
    read, write = os.pipe()
    kept = os.dup(1)
    os.dup2(write, 1)
    try:
        words = hook.show(pieces)
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(write)
    with open(read, "rb") as file:
        return words, file.read()


@given(st.lists(st.integers(1, 40)))
def test_the_last_words_are_found_wherever_the_answer_is_cut(cuts: list[int]) -> None:
    whole = b"-----> One\n       two\n\0archive 0123\n"
    pieces, start = [], 0
    for cut in [*cuts, len(whole)]:
        pieces.append(whole[start : start + cut])
        start += cut
    assert shown(pieces) == (("archive", "0123"), b"-----> One\n       two\n")


def answered(raw: bytes) -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(raw)
        theirs.shutdown(socket.SHUT_WR)
        return b"".join(hook.answer(ours))


def test_an_answer_is_read_to_its_end() -> None:
    assert answered(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n") == b"abcd"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\n\r\n2\r\nab\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_not_taken_for_a_yes(raw: bytes) -> None:
    with pytest.raises(hook.Lost):
        answered(raw)


def test_an_answer_without_last_words_is_not_taken_for_a_yes() -> None:
    with pytest.raises(hook.Lost):
        hook.show([])


def begin(pushes: Pushes, app: str = "a") -> Push:
    return pushes.begin(App(id=app, name=app), User(id="u", email="u@example.com"))


def test_only_the_secret_opens_a_push() -> None:
    pushes = Pushes()
    push = begin(pushes)
    assert pushes.find(push.id, push.secret) is push
    for id, secret in ((push.id, "ü"), (push.id, ""), ("x", push.secret)):
        with pytest.raises(NotFound):
            pushes.find(id, secret)
    pushes.end(push)
    with pytest.raises(NotFound):
        pushes.find(push.id, push.secret)


def test_pushes_of_an_app_take_turns_in_order() -> None:
    async def scenario() -> None:
        pushes = Pushes()
        first, second, third, other = begin(pushes), begin(pushes), begin(pushes), begin(pushes, "b")
        await pushes.take_turn(first)
        waiting: list[asyncio.Task[Any]] = [asyncio.create_task(pushes.take_turn(p)) for p in (second, third)]
        await pushes.take_turn(other)
        await asyncio.sleep(0)
        assert pushes.ahead(first.app) == 3
        pushes.end(second)  # its pusher's git was killed while it waited
        await asyncio.sleep(0)
        assert not waiting[1].done()
        pushes.give_turn(first)
        pushes.end(first)
        await asyncio.wait_for(waiting[1], 1)
        pushes.end(third)
        assert pushes.ahead(first.app) == 0
        waiting[0].cancel()

    asyncio.run(scenario())


def test_what_a_ref_update_is() -> None:
    assert RefUpdate("a", "0" * 64, "refs/heads/x").deletes  # also where object ids are SHA-256


def test_the_hook_and_the_builder_mean_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hook.SUBMODULES == submodules.LIST
    for command in (
        ["init", "-q"],
        ["update-index", "--add", "--cacheinfo", f"160000,{'12' * 20},lib/x y"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    assert submodules.parse_list(hook.submodules("HEAD").decode()) == {"lib/x y": "12" * 20}
    with tarfile.open(fileobj=io.BytesIO(b"".join(hook.archive("HEAD")))) as tar:
        listed = tar.extractfile(submodules.LIST)
        assert listed and submodules.parse_list(listed.read().decode()) == {"lib/x y": "12" * 20}


def test_a_list_that_leads_out_is_not_followed() -> None:
    assert submodules.parse_list(f"{'a' * 40} ../x\n{'a' * 40} /x\nnonsense\n{'b' * 40} ok\n") == {"ok": "b" * 40}
