"""What git runs before and after it takes a push over: asks pogod, and shows the pusher its answer.

Started as `python -I -S hook.py pre-receive|post-receive`, with the standard library only, so that it
starts in about 20 ms. pogod's answers (see `receive`) are text for the pusher, as it comes, and at
the end a NUL byte and what to do: `exit <status>`, or `archive <commit>`: send the source.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator

CHUNK = 1 << 18
SUBMODULES = ".pogo-submodules"  # as rules.submodules has it


class Lost(Exception):
    """pogod was stopped, or never heard of this push."""


def main(kind: str) -> int:
    updates = sys.stdin.buffer.read()
    try:
        if kind == "post-receive":
            ask("done", [])
            return 0
        verb, word = ask("refs", [updates])
        if verb == "archive":
            if not check(word):
                return 1
            verb, word = ask("source", archive(word))
        return int(word)
    except (Lost, OSError) as error:
        say(f" !     The platform was interrupted ({error or type(error).__name__}). A build that runs goes on.")
        say(" !     Push again in a moment to see it.")
        return 1


def check(commit: str) -> bool:
    """Whether it is a commit."""
    done = subprocess.run(
        ["git", "cat-file", "--batch-check=%(objecttype)"],  # noqa: S607
        input=f"{commit}^{{commit}}\n".encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    if done.stdout.decode().strip() != "commit":
        say(" !     Push rejected: a deploy branch must be at a commit, and what you pushed is none.")
        return False
    return True


def submodules(commit: str) -> bytes:
    """Lines `<commit> <path>` of the submodules, which `git archive` leaves out; the builder fetches them."""
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "-z", commit],  # noqa: S607
        stdout=subprocess.PIPE,
        check=True,
    )
    entries = (entry.partition(b"\t") for entry in listed.stdout.split(b"\0") if entry.startswith(b"160000 "))
    return b"".join(what.split()[2] + b" " + path + b"\n" for what, _, path in entries)


def archive(commit: str) -> Iterator[bytes]:
    """The files of the commit as a tar, and a list of its submodules in a file of that tar.

    Raises Lost when git cannot read it all, so that no half is built.
    """
    command: list[str | bytes] = ["git", "archive", "--format=tar"]
    if found := submodules(commit):
        command.append(f"--add-virtual-file={SUBMODULES}:".encode() + found)
    command.append(commit)
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as git:
        assert git.stdout
        while chunk := git.stdout.read(CHUNK):
            yield chunk
    if git.returncode != 0:
        raise Lost(f"git archive ended with status {git.returncode}")


def ask(what: str, body: Iterable[bytes]) -> tuple[str, str]:
    """POST to pogod, show its answer, return the last words: a verb and its argument. Raises Lost, OSError."""
    env = os.environ
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(env["POGO_HOOK_SOCKET"])
        head = (
            f"POST /internal/pushes/{env['POGO_HOOK_PUSH']}/{what} HTTP/1.1\r\nHost: pogod\r\n"
            f"Authorization: Bearer {env['POGO_HOOK_SECRET']}\r\n"
            "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode())
        for chunk in body:
            if chunk:
                connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        connection.sendall(b"0\r\n\r\n")
        return show(answer(connection))


def answer(connection: socket.socket) -> Iterator[bytes]:
    """The body of the answer, as it arrives. Raises Lost for another status than 200 or an early end."""
    with connection.makefile("rb") as file:
        status = file.readline().split(b" ", 2)
        if len(status) < 2 or status[1] != b"200":
            raise Lost("it does not know this push")
        while file.readline().strip():
            pass
        while size := int(file.readline() or b"-1", 16):
            if size < 0:
                raise Lost("it was stopped")
            while size:
                piece = file.read1(size)
                if not piece:
                    raise Lost("it was stopped")
                size -= len(piece)
                yield piece
            file.readline()


def show(pieces: Iterable[bytes]) -> tuple[str, str]:
    last, ended = b"", False
    for piece in pieces:
        if ended:
            last += piece
            continue
        text, mark, last = piece.partition(b"\0")
        write(text)
        ended = bool(mark)
    verb, _, word = last.decode().strip().partition(" ")
    if not word:
        raise Lost("it was stopped")
    return verb, word


def say(line: str) -> None:
    write(line.encode() + b"\n")


def write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
