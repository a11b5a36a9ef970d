"""Git repositories in a folder of the operator's, served as if they were at GitHub: read-only, by git itself."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import structlog

from pogo.mirror import relay
from pogo.mirror.egress import Entry
from pogo.mirror.relay import IDLE_SECONDS
from pogo.mirror.wire import BUFFER, Head, Malformed, answer_head

log = structlog.get_logger()
HOST = "github.com"
_PATH = re.compile(r"/([A-Za-z0-9][\w.-]*)/([\w.-]+?)(?:\.git)?/(info/refs|git-upload-pack)")
_LINE = 1024  # bytes; the longest size line of a chunk
# git 2.39 told the length of a body that is cut short would spin for ever; not told it, it reads to the end.
_PASSED_ON = {
    "content-type": "CONTENT_TYPE",
    "content-encoding": "HTTP_CONTENT_ENCODING",
    "git-protocol": "HTTP_GIT_PROTOCOL",
}


@dataclass(frozen=True)
class Found:
    """repository: what git takes as one. action: the rest of the path."""

    repository: Path
    action: str


@dataclass(frozen=True)
class Repositories:
    """folder: holds `<owner>/<name>` or `<owner>+<name>`, with or without `.git`: bare, or with a work tree, or
    a directory whose only repository is `repo`."""

    folder: Path
    host: str = HOST

    def find(self, path: str) -> Found | None:
        """path: of the URL. None where it is no question of git's, or the folder does not hold the repository."""
        match = _PATH.fullmatch(path)
        if match is None or match[2] in (".", ".."):
            return None
        owner, name, action = match.groups()
        for place in (f"{owner}/{name}", f"{owner}/{name}.git", f"{owner}+{name}", f"{owner}+{name}.git"):
            for inner in ("", ".git", "repo"):
                candidate = self.folder / place / inner
                if (candidate / "HEAD").is_file() and (candidate / "objects").is_dir():
                    return Found(candidate, action)
        return None

    async def serve(
        self,
        found: Found,
        query: str,
        head: Head,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        entry: Entry,
    ) -> None:
        """Answer one request. The answer comes in chunks: one that git did not finish is seen to be cut."""
        given = {name: head.get(header) for header, name in _PASSED_ON.items() if head.get(header)}
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            env={
                **_environment(),
                **given,
                "GIT_PROJECT_ROOT": str(found.repository),
                "PATH_INFO": f"/{found.action}",
                "QUERY_STRING": query,
                "REQUEST_METHOD": head.method,
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=BUFFER,
            start_new_session=True,
        )
        assert process.stdin
        assert process.stdout
        feeding = asyncio.create_task(_feed(head, reader, writer, process.stdin, entry))
        try:
            await _answer(process.stdout, writer, entry, keep_alive=head.keep_alive)
            await feeding
            if await process.wait() != 0:
                raise ConnectionError(f"git failed with status {process.returncode}")
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        except BaseException:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])
            await process.wait()


def _environment() -> dict[str, str]:
    """Nothing of the machine's or a user's configuration; the folder may belong to anyone."""
    config = {"safe.directory": "*", "http.receivepack": "false", "uploadpack.allowAnySHA1InWant": "true"}
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_COUNT": str(len(config)),
    }
    for number, (key, value) in enumerate(config.items()):
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return env


async def _answer(
    stdout: asyncio.StreamReader, writer: asyncio.StreamWriter, entry: Entry, *, keep_alive: bool
) -> None:
    """Everything but the last chunk."""
    try:
        lines = (await stdout.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    except asyncio.IncompleteReadError:
        raise ConnectionError("git gave no answer") from None
    fields = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines if line)]
    entry.status = next((int(value.split()[0]) for name, value in fields if name.lower() == "status"), 200)
    kept = [(name, value) for name, value in fields if name.lower() not in ("status", "content-length")]
    kept += [("Transfer-Encoding", "chunked"), ("Connection", "keep-alive" if keep_alive else "close")]
    writer.write(answer_head(entry.status, kept))
    while chunk := await stdout.read(BUFFER):
        writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        entry.receive(len(chunk))
        async with asyncio.timeout(IDLE_SECONDS):
            await writer.drain()


async def _feed(
    head: Head,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    stdin: asyncio.StreamWriter,
    entry: Entry,
) -> None:
    """The body of the request to git, whole, also where git does not want its end."""
    if head.get("expect").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        if head.length is not None:
            await relay.copy(reader, stdin, entry.send, limit=head.length)
            return
        async with asyncio.timeout(IDLE_SECONDS):
            while size := await _chunk_size(reader):
                await relay.copy(reader, stdin, entry.send, limit=size)
                await reader.readexactly(2)
            await reader.readuntil(b"\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return  # git has read enough; its answer says why
    finally:
        stdin.close()


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    line = await reader.readuntil(b"\r\n")
    try:
        return int(line[:_LINE].partition(b";")[0], 16)
    except ValueError:
        raise Malformed("The body of the request is not in chunks.") from None
