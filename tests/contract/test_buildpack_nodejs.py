"""The Node.js pack with each package manager, through the real builder: built, built again, run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from builder_rig import Builder, Built
from pack_rig import APPS, EXAMPLES, Record, Runner, builders, note

RUN = {
    "yarn": ("yarn install (yarn.lock)", "yarn run build"),
    "pnpm": ("pnpm install (pnpm-lock.yaml)", "pnpm run build"),
    "berry": ("yarn install (yarn.lock)", "yarn run build"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with builders(tmp_path_factory.mktemp("nodejs")) as runner:
        yield runner


def test_yarn_and_pnpm(run: Runner, record_property: Record) -> None:
    """One after the other in the same cache, as for an app that changes its manager: Node.js is fetched once."""

    async def scenario(builder: Builder) -> None:
        cache: Path | None = None
        for name, (install, script) in RUN.items():
            first = await builder.build(APPS / name, cache=cache)
            assert first.status == 0, first.log
            assert f"-----> Installing node modules: {install}" in first.log
            assert f"-----> Running build: {script}" in first.log
            assert "-----> Pruning devDependencies" in first.log
            second = await builder.build(APPS / name, cache=first.cache)
            assert second.status == 0, second.log
            assert "-----> Using the node_modules of the last build" in second.log
            note(record_property, first, second, name=f"{name} ")
            await answers(builder, second)
            cache = second.cache

    run(scenario)


async def answers(builder: Builder, built: Built) -> None:
    """The app has its dependency and what the build made of a development dependency, which is gone."""
    web = await builder.serve(built)
    status, _, body = await web.get("/")
    assert status == 200 and body.startswith("60000 is-odd true v24."), body
    assert " gone npm/" in body
    await web.stop()


def test_settings_of_a_build(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        package = json.loads((EXAMPLES / "express/package.json").read_text())
        package.update(
            dependencies={"ms": "2.1.3"},
            devDependencies={"is-odd": "3.0.1"},
            cacheDirectories=["kept"],
            scripts={
                "heroku-prebuild": "echo before",
                "heroku-postbuild": "ls kept; mkdir -p kept && touch kept/file && echo token $NPM_TOKEN $NODE_OPTIONS",
                "build": "false",
                "heroku-cleanup": "echo after",
            },
        )
        files = {
            "package.json": json.dumps(package),
            "server.js": "",
            ".npmrc": "//x.example/:_authToken=${NPM_TOKEN}\n",
        }
        config = {"NPM_CONFIG_PRODUCTION": "false", "NODE_VERBOSE": "true", "NPM_TOKEN": "t0k"}
        first = await builder.build(files, config=config)
        assert first.status == 0, first.log
        log = first.log
        places = [
            "\n       before\n",
            "npm install",
            "token t0k --max_old_space_size=",
            "NPM_CONFIG_PRODUCTION is",
            "after",
        ]
        assert [log.find(part) for part in places] == sorted(log.find(part) for part in places)
        assert all(part in log for part in [*places, "is-odd@3.0.1"])
        second = await builder.build(files, config=config, cache=first.cache)
        assert "Restoring kept, as cacheDirectories says" in second.log
        assert "\n       file\n" in second.log
        both = {**files, "package-lock.json": "{}", "yarn.lock": ""}
        refused = await builder.build(both, cache=first.cache)
        assert refused.status != 0
        assert " !     Multiple lockfiles found: package-lock.json, yarn.lock." in refused.log

    run(scenario)
