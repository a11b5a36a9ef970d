"""Names of buildpacks and mirrors, from the command line."""

from __future__ import annotations

from base64 import b64encode

import cli_double
from cli_double import DATE, Cli

cli = cli_double.cli

SCALA = {"namespace": "heroku", "name": "scala", "category": "languages", "description": "Scala", "url": "https://x/s"}
PYTHON = {**SCALA, "name": "python", "description": "ours", "url": None}


def test_search(cli: Cli) -> None:
    cli.answer("GET /buildpacks", [SCALA, PYTHON])
    done = cli.run("buildpacks:search")
    assert done.status == 0
    assert [line.split() for line in done.out.splitlines()[2:4]] == [
        ["heroku/python", "languages", "ours"],
        ["heroku/scala", "languages", "Scala"],
    ]
    assert done.out.endswith("2 buildpacks found\n")
    for query in ("in[namespace][]=py", "in[name][]=py", "like[description]=py"):
        cli.answer(f"GET /buildpacks?{query}", [PYTHON] if "name]" in query else [])
    assert cli.run("buildpacks:search", "py").out.endswith("1 buildpack found\n")
    cli.answer("GET /buildpacks?in[namespace][]=a&in[namespace][]=b&in[name][]=c", [])
    assert cli.run("buildpacks:search", "--namespace", "a,b", "--name", "c").out == "No buildpacks found\n"


def test_info_and_versions(cli: Cli) -> None:
    cli.answer("GET /buildpacks/heroku/scala", SCALA)
    cli.answer("GET /buildpacks/heroku/scala/readme", {"content": b64encode(b"Hello.\n").decode()})
    done = cli.run("buildpacks:info", "urn:buildpack:heroku/scala")
    assert [line.split(maxsplit=1)[1] for line in done.out.splitlines() if ":" in line] == [
        "Scala",
        "languages",
        "https://x/s",
        "Hello.",
    ]
    assert '"readme": "Hello."' in cli.run("buildpacks:info", "heroku/scala", "--json").out
    revision = {"release": 3, "created_at": DATE, "status": "published"}
    cli.answer("GET /buildpacks/heroku/scala/revisions", [revision])
    assert cli.run("buildpacks:versions", "heroku/scala").out.splitlines()[2].split() == ["3", DATE, "published"]
    for command in ("buildpacks:info", "buildpacks:versions"):
        bad = cli.run(command, "scala")
        assert (bad.status, "it is namespace/name" in bad.err) == (1, True)


def test_the_operator_names_buildpacks(cli: Cli) -> None:
    cli.answer("PUT /buildpacks/acme/cobol", SCALA)
    assert cli.run("buildpacks:register", "acme/cobol", "https://x/c.git#v1", "-d", "COBOL").status == 0
    assert cli.requests[-1].body == {"url": "https://x/c.git#v1", "description": "COBOL"}
    cli.answer("DELETE /buildpacks/acme/cobol", SCALA)
    assert cli.run("buildpacks:unregister", "acme/cobol").err == "Unregistering acme/cobol... done\n"


def test_mirrors(cli: Cli) -> None:
    cli.answer("GET /buildpack-mirrors", [])
    cli.answer("GET /buildpack-mirrors", [{"id": "1", "prefix": "https://a/", "url": "http://b/"}])
    assert cli.run("buildpacks:mirrors").out.startswith("No mirrors.")
    assert cli.run("buildpacks:mirrors").out.splitlines()[2].split() == ["https://a/", "http://b/"]
    cli.answer("POST /buildpack-mirrors", {}, 201)
    cli.run("buildpacks:mirrors:add", "https://a/", "http://b/")
    assert cli.requests[-1].body == {"prefix": "https://a/", "url": "http://b/"}
    cli.answer("DELETE /buildpack-mirrors/1", {})
    assert cli.run("buildpacks:mirrors:remove", "https://a/").status == 0
    assert cli.run("buildpacks:mirrors:remove", "https://c/").status == 1
