"""Hosts that the mirror answers for, through curl and git: recipes, repositories, and what is passed on."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from mirror_rig import Files, Loopback, Rig, host, mirror

from pogo.mirror.authority import Authority

URL = "https://files.example"
Scenario = Callable[[Rig, Files], Awaitable[None]]


def with_files(directory: Path, scenario: Scenario, *, git: Path | None = None) -> None:
    """Runs it beside a mirror that answers for files.example from `directory/files`."""
    (directory / "files").mkdir()
    (directory / "files" / "one").write_bytes(b"0123456789" * 100_000)

    async def run() -> None:
        recipe = Files(directory / "files")
        async with mirror(directory / "state", recipe=recipe, git=git) as rig:
            await scenario(rig, recipe)

    uvloop.run(run())


def test_a_recipe_answers_over_tls_that_the_client_verifies(tmp_path: Path) -> None:
    async def scenario(rig: Rig, recipe: Files) -> None:
        status, out, said = await rig.curl(f"{URL}/one", "-w", "%{http_version} %{response_code}", "-D", "-")
        assert status == 0, said
        assert out.endswith(b"0123456789" * 100_000 + b"1.1 200")
        assert b"Content-Length: 1000000" in out
        assert recipe.asked[0].path == "/one"
        entry = await rig.entry(lambda one: one.path == "/one")
        assert (entry.by, entry.host, entry.received, entry.status) == ("mirror", "files.example", 1_000_000, 200)
        status, _, said = await rig.curl(f"{URL}/one", "--cacert", "/etc/ssl/certs/ca-certificates.crt")
        assert status == 60, said  # nobody but builds trusts the authority
        assert "may not trust" in (await rig.entry(lambda one: one.by == "refused")).reason

    with_files(tmp_path, scenario)


def test_one_connection_serves_many_requests(tmp_path: Path) -> None:
    async def scenario(rig: Rig, recipe: Files) -> None:
        wanted = [
            word for path in ("text", "one", "elsewhere", "text") for word in (f"{URL}/{path}", "-o", "/dev/null")
        ]
        status, out, said = await rig.curl(*wanted, "-w", "%{num_connects} ")
        assert (status, out) == (0, b"1 0 0 0 "), said

    with_files(tmp_path, scenario)


def test_downloads_go_on_where_they_were_cut(tmp_path: Path) -> None:
    async def scenario(rig: Rig, recipe: Files) -> None:
        _, out, _ = await rig.curl(f"{URL}/one", "-r", "5-14", "-w", " %{response_code}")
        assert out == b"5678901234 206"
        part = tmp_path / "part"
        part.write_bytes((b"0123456789" * 100_000)[:400_007])
        status, _, said = await rig.curl(f"{URL}/one", "-C", "-", "-o", str(part))
        assert status == 0, said
        assert part.read_bytes() == b"0123456789" * 100_000
        _, out, _ = await rig.curl(f"{URL}/one", "-r", "2000000-", "-o", "/dev/null", "-w", "%{response_code}")
        assert out == b"416"
        _, out, _ = await rig.curl(f"{URL}/one", "-I")
        assert b"Content-Length: 1000000" in out and b"Accept-Ranges: bytes" in out

    with_files(tmp_path, scenario)


def test_redirects_texts_and_failures(tmp_path: Path) -> None:
    async def scenario(rig: Rig, recipe: Files) -> None:
        _, out, _ = await rig.curl(f"{URL}/elsewhere", "-w", "%{response_code} %{redirect_url}")
        assert out == b"302 https://files.example/one"
        _, out, _ = await rig.curl("http://files.example/text")
        assert out == b"text\n"
        _, out, _ = await rig.curl(f"{URL}/broken", "-w", "%{response_code}")
        assert out == b"The registry does not have it.\n502"
        _, out, _ = await rig.curl(f"{URL}/bug", "-w", "%{response_code}")
        assert out.endswith(b"500")
        assert (await rig.entry(lambda one: one.path == "/broken")).reason == "The registry does not have it."

    with_files(tmp_path, scenario)


def test_what_no_recipe_knows_goes_to_the_real_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here one on loopback, with a certificate of an authority that this process trusts for the test."""
    seen: list[bytes] = []

    async def real(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head + (await reader.readexactly(4) if head.startswith(b"POST") else b""))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal")
        writer.close()

    async def scenario(rig: Rig, recipe: Files) -> None:
        tls = rig.directory / "tls" / "mirror"
        trusting = ssl.create_default_context(cafile=str(tls / "ca.pem"))
        monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
        async with host(real, Authority(tls).context("files.example")) as port:

            async def there(self: Loopback, name: str, _port: int) -> object:
                assert name == "files.example"
                return await asyncio.open_connection("127.0.0.1", port)

            monkeypatch.setattr(Loopback, "_connect_directly", there)
            assert (await rig.curl(f"{URL}/real/one?x=1"))[1] == b"real"
            assert (await rig.curl(f"{URL}/post", "-d", "body"))[1] == b"real"
        assert seen[0].startswith(b"GET /real/one?x=1 HTTP/1.1\r\n") and b"Connection: close" in seen[0]
        assert seen[1].startswith(b"POST /post") and seen[1].endswith(b"body")
        assert (await rig.entry(lambda one: one.path == "/real/one")).by == "passed"

    with_files(tmp_path, scenario)


def test_where_the_real_host_is_away_the_client_is_told_both(tmp_path: Path) -> None:
    async def scenario(rig: Rig, recipe: Files) -> None:
        _, out, _ = await rig.curl(f"{URL}/real", "-w", "%{response_code}")
        assert out == (
            b"The name files.example cannot be resolved. This platform's mirror does not have it either.\n502"
        )

    with_files(tmp_path, scenario)


def git(*args: str | Path, cwd: Path | None = None, **env: str) -> str:
    identity = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    whole = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", **env}
    done = subprocess.run(["git", *map(str, args)], cwd=cwd, env=whole, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Repositories in the three forms that the operator's folder may have."""
    work = tmp_path / "git" / "acme" / "pack"
    work.mkdir(parents=True)
    git("init", "-q", "-b", "main", work)
    (work / "bin").mkdir()
    (work / "bin" / "detect").write_text("echo Acme\n")
    (work / "big").write_bytes(os.urandom(3 << 20))
    git("add", ".", cwd=work)
    git("commit", "-qm", "First", cwd=work)
    git("tag", "v1", cwd=work)
    (work / "bin" / "detect").write_text("echo Acme 2\n")
    git("commit", "-qam", "Second", cwd=work)
    git("clone", "-q", "--bare", work, tmp_path / "git" / "other" / "bare.git")
    (tmp_path / "git" / "third+kept").mkdir()
    git("clone", "-q", "--bare", work, tmp_path / "git" / "third+kept" / "repo")
    return tmp_path / "git"


def test_a_folder_of_repositories_is_seen_as_github(tmp_path: Path, folder: Path) -> None:
    async def scenario(rig: Rig, recipe: Files) -> None:
        ca = rig.directory / "tls" / "mirror" / "ca.pem"
        env = {"https_proxy": rig.url, "GIT_SSL_CAINFO": str(ca)}

        async def clone(name: str, *args: str) -> Path:
            to = tmp_path / name.replace("/", "-")
            await asyncio.to_thread(git, "clone", "-q", *args, f"https://github.com/{name}", to, **env)
            return to

        assert (await clone("acme/pack") / "bin" / "detect").read_text() == "echo Acme 2\n"
        assert (await clone("other/bare.git", "--depth", "1", "--branch", "v1") / "bin/detect").read_text() == (
            "echo Acme\n"
        )
        kept = await clone("third/kept")
        (folder / "acme" / "pack" / "more").write_text("more")
        await asyncio.to_thread(git, "-C", kept, "-c", "protocol.version=0", "fetch", "-q", "origin", **env)
        pack = await rig.entry(lambda one: one.method == "POST" and one.received > 3 << 20)
        assert (pack.host, pack.path, pack.by) == ("github.com", "/acme/pack/git-upload-pack", "mirror")
        with pytest.raises(AssertionError, match=r"502|403"):
            await clone("nobody/none")
        with pytest.raises(AssertionError, match=r"403|502"):
            await asyncio.to_thread(git, "-C", kept, "push", "https://github.com/acme/pack", "main:x", **env)
        for path in ("acme/../acme/pack", "%2e%2e/acme/pack", "acme/..", "acme/pack/../../x"):
            _, out, _ = await rig.curl(
                "--path-as-is", f"https://github.com/{path}/info/refs?service=git-upload-pack", "-w", "%{response_code}"
            )
            assert out.endswith(b"502"), path

    with_files(tmp_path, scenario, git=folder)


def test_a_long_negotiation_comes_in_chunks(tmp_path: Path, folder: Path) -> None:
    """git sends what is longer than http.postBuffer so."""

    async def scenario(rig: Rig, recipe: Files) -> None:
        env = {"https_proxy": rig.url, "GIT_SSL_CAINFO": str(rig.directory / "tls" / "mirror" / "ca.pem")}
        work, clone = folder / "acme" / "pack", tmp_path / "clone"
        await asyncio.to_thread(git, "clone", "-q", "https://github.com/acme/pack", clone, **env)
        stream = "".join(  # commits that the server does not have: each is told to it
            f"commit refs/heads/own\ncommitter a <a@b.c> {1_900_000_000 + number} +0000\ndata 1\nx\n"
            + ("from refs/remotes/origin/main^0\n" if number == 0 else "")
            for number in range(4000)
        )
        subprocess.run(["git", "-C", clone, "fast-import", "--quiet"], input=stream, text=True, check=True)
        git("commit", "-q", "--allow-empty", "-m", "Third", cwd=work)
        fetch = ("-C", clone, "-c", "http.postBuffer=65536", "fetch", "-q")
        await asyncio.to_thread(git, *fetch, "origin", **env)
        assert git("log", "-1", "--format=%s", "origin/main", cwd=clone) == "Third\n"
        assert max(entry.sent for entry in rig.log()) > 65536

    with_files(tmp_path, scenario, git=folder)


def test_a_client_that_goes_leaves_no_git_behind(tmp_path: Path, folder: Path) -> None:
    async def scenario(rig: Rig, recipe: Files) -> None:
        url = "https://github.com/acme/pack/info/refs?service=git-upload-pack"
        for _ in range(3):
            await rig.curl(url, "--max-time", "0.05", "--limit-rate", "1")
        deadline = time.monotonic() + 10
        while rig.proxy.open and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert not rig.proxy.open

    with_files(tmp_path, scenario, git=folder)
