"""`pogo builds` and its subcommands: what they ask, and what they print."""

from __future__ import annotations

from typing import Any

import cli_double
from cli_double import DATE, EMAIL, Cli

cli = cli_double.cli
LATEST = "created_at ..; max=1, order=desc"


def build(number: int, status: str, failure: str | None = None, started: str | None = DATE) -> dict[str, Any]:
    return {
        "id": f"id-{number}",
        "status": status,
        "buildpacks": [{"name": "heroku/python", "url": "urn:buildpack:heroku/python"}],
        "created_at": DATE,
        "details": {
            "number": number,
            "failure": failure,
            "waits": None if started else "All 2 build places are taken.",
            "seconds": {"compile": 9.1, "pack": 1.25, "store": 0.4} if started else {},
            "peak_memory": 312 << 20 if started else 0,
            "started_at": started,
        },
        "output_stream_url": "",
        "release": None,
        "source_blob": {"version": "0123456789abcdef"},
        "stack": "pogo-13",
        "user": {"email": EMAIL},
    }


def test_the_list_tells_queued_and_cancelled_ones(cli: Cli) -> None:
    cancelled = build(2, "failed", "The build was cancelled by x@y.z.")
    cli.answer("GET /apps/myapp/builds", [build(3, "pending", started=None), cancelled, build(1, "succeeded")])
    shown = cli.run("builds", "-a", "myapp")
    assert shown.status == 0
    lines = [line.split()[:4] for line in shown.out.splitlines() if "01234567" in line]
    assert lines == [
        [n, status, "01234567", EMAIL] for n, status in (("3", "queued"), ("2", "cancelled"), ("1", "succeeded"))
    ]
    assert cli.requests[0].headers["range"] == "created_at ..; max=10, order=desc"


def test_one_build(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/builds/7", build(7, "succeeded"))
    out = cli.run("builds:info", "7", "-a", "myapp").out
    assert "=== Build 7" in out
    assert "compile 9.1 s, pack 1.2 s, store 0.4 s" in out and "312 MB" in out


def test_the_latest_is_cancelled(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/builds", [build(4, "pending")])
    cli.answer("DELETE /apps/myapp/builds/id-4", build(4, "failed"))
    done = cli.run("builds:cancel", "-a", "myapp")
    assert (done.status, done.err) == (0, "Cancelling build 4 of myapp... done\n")
    assert cli.requests[0].headers["range"] == LATEST


def test_no_builds(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/builds", [])
    assert cli.run("builds", "-a", "myapp").out == "myapp has no builds.\n"
    assert "myapp has no builds." in cli.run("builds:output", "-a", "myapp").err


def test_the_cache_is_purged(cli: Cli) -> None:
    cli.answer("DELETE /apps/myapp/build-cache", {})
    assert cli.run("builds:cache:purge", "-a", "myapp").err == "Deleting the build cache of myapp... done\n"


def test_output_is_copied(cli: Cli) -> None:
    shown = build(2, "succeeded")
    shown["output_stream_url"] = f"{cli.double.url}/streams/builds/id-2"
    cli.answer("GET /apps/myapp/builds/2", shown)
    cli.answer("GET /streams/builds/id-2", b"-----> Python\n")
    assert cli.run("builds:output", "2", "-a", "myapp").out == "-----> Python\n"
    shown["output_stream_url"] = f"{cli.double.url}/streams/builds/gone"
    assert "no longer kept" in cli.run("builds:output", "2", "-a", "myapp").err
