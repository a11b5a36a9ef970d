"""The examples through the real builder in real containers: built, built again from the cache, run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from builder_rig import Builder
from pack_rig import EXAMPLES, Record, Runner, builders, note


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with builders(tmp_path_factory.mktemp("builds")) as runner:
        yield runner


def test_a_procfile_alone_needs_no_buildpack(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        built = await builder.build(EXAMPLES / "procfile")
        assert built.status == 0, built.log
        assert built.log.splitlines() == [
            "-----> Building on the Pogo-13 stack",
            "-----> Determining which buildpack to use for this app",
            "-----> Procfile app detected",
            "       No buildpack matches; the app runs as its Procfile says.",
            "-----> Discovering process types",
            "       Procfile declares types -> web",
            "-----> Compressing...",
            "       Done: 4K",
        ]
        web = await builder.serve(built)
        status, _, body = await web.get("/x")
        assert (status, body) == (200, "Hello from web.1: /x\n")
        await web.stop()

    run(scenario)


def test_flask(run: Runner, record_property: Record) -> None:
    async def scenario(builder: Builder) -> None:
        first = await builder.build(EXAMPLES / "flask")
        assert first.status == 0, first.log
        assert "Successfully installed" in first.log
        second = await builder.build(EXAMPLES / "flask", cache=first.cache)
        assert "Using the installed requirements of the last build" in second.log
        assert second.result["detected"] == "Python"
        assert second.result["buildpacks"] == [{"url": "urn:buildpack:heroku/python", "name": "heroku/python"}]
        note(record_property, first, second)
        web = await builder.serve(second)
        assert (await web.get("/healthz"))[2] == '{"status":"ok"}\n'
        assert "shop" in (await web.get("/"))[2]
        await web.stop()
        status, output = await builder.run(second, "pip --version; which gunicorn; echo $WEB_CONCURRENCY $LANG")
        assert status == 0
        assert "/app/.heroku/python/bin/gunicorn" in output
        assert output.endswith("2 en_US.UTF-8\n")

    run(scenario)


def test_django_collects_static_files_and_migrates(run: Runner, record_property: Record) -> None:
    async def scenario(builder: Builder) -> None:
        first = await builder.build(EXAMPLES / "django")
        assert first.status == 0, first.log
        assert "-----> $ python manage.py collectstatic --noinput" in first.log
        assert "Procfile declares types -> release, web, worker" in first.log
        second = await builder.build(EXAMPLES / "django", cache=first.cache, config={"DISABLE_COLLECTSTATIC": "1"})
        assert "Skipping Django collectstatic, since the env var" in second.log
        note(record_property, first, second)
        status, output = await builder.run(first, first.result["process_types"]["release"])
        assert status == 0
        assert "Applying visits.0001_initial... OK" in output
        web = await builder.serve(first)
        assert "1 visits counted by dyno web.1" in (await web.get("/"))[2]
        page = (await web.get("/"))[2]
        style = page.partition('href="')[2].partition('"')[0]
        assert (await web.get(style))[0] == 200
        login = (await web.get("/admin/login/"))[2]
        assert "Django administration" in login
        style = login.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
        status, headers, _ = await web.get(style)
        assert (status, headers["content-type"]) == (200, 'text/css; charset="utf-8"')
        assert "immutable" in headers["cache-control"]
        await web.stop()

    run(scenario)


def test_express_runs_its_build_script(run: Runner, record_property: Record) -> None:
    async def scenario(builder: Builder) -> None:
        first = await builder.build(EXAMPLES / "express")
        assert first.status == 0, first.log
        assert "-----> Running build: npm run build" in first.log
        second = await builder.build(EXAMPLES / "express", cache=first.cache)
        assert "Using the node_modules of the last build" in second.log
        note(record_property, first, second)
        assert set(second.result["process_types"]) == {"web", "worker"}
        web = await builder.serve(second)
        assert (await web.get("/healthz"))[2] == '{"status":"ok","dyno":"web.1"}'
        assert await web.echo("/ws", "hello") == "web.1: hello"
        assert "// built with Node.js v24" in (await web.get("/client.js"))[2]
        await web.stop()
        status, output = await builder.run(second, "node --version && npm --version && echo $MEMORY_AVAILABLE")
        assert status == 0
        assert output.startswith("v24.")

    run(scenario)


def test_static(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        built = await builder.build(EXAMPLES / "static")
        assert built.status == 0, built.log
        assert "Default types for buildpack -> web" in built.log
        web = await builder.serve(built)
        assert "A static site" in (await web.get("/"))[2]
        assert "This is about.html" in (await web.get("/about"))[2]
        status, _, body = await web.get("/nothing")
        assert (status, "There is no such page" in body) == (404, True)
        status, headers, _ = await web.get("/home")
        assert (status, headers["location"]) == (302, "/")
        _, headers, _ = await web.get("/assets/site.css")
        assert headers["cache-control"] == "public, max-age=3600"
        assert "cache-control" not in (await web.get("/"))[1]
        await web.stop()

    run(scenario)
