"""What scripts of packs find; what is said of app.json, BUILDPACK_URL, add-ons and config vars. Real containers."""

from __future__ import annotations

import json
import re
from pathlib import Path

from test_builder import DETECT, Builder, Runner, address, run, source

__all__ = ["run"]

LOOK = """#!/bin/bash
what=$(basename "$0")
echo "$what: $# $(pwd) ${EXPORTED:-none} ${SECRET:-none}" >> /tmp/seen
[ "$what" = detect ] && echo "$(cat "$(dirname "$0")/../name")" && echo "a second line"
[ "$what" = release ] && cat "$(dirname "$0")/../release.yml"
true
"""
COMPILE = """#!/bin/bash
echo "compile: $# $(pwd) ${EXPORTED:-none} ${SECRET:-none}" >> /tmp/seen
echo "$1 $2 $3" > /tmp/arguments
[ -z "$(ls -A /app)" ] && touch /app/x && rm /app/x && echo "app is empty and writable"
env -0 | sort -z | tr '\\0' '\\n' | cut -d= -f1 | tr '\\n' ' ' > /tmp/environment
ls -A "$3" | tr '\\n' ' '; od -An -c "$3/LINES"
echo "export EXPORTED='by $(cat name)'" > export
"""
LAST = COMPILE + 'cat /tmp/seen; cat /tmp/arguments /tmp/environment; echo; touch "$1/Procfile"\n'
FIRST = {
    "name": "First",
    "release.yml": "---\\nconfig_vars:\\n  OLD: one\\naddons: [shared-database]\\n",
    "bin/detect": LOOK,
    "bin/compile": COMPILE,
    "bin/release": LOOK,
    "bin/report": LOOK,
}
SECOND = {
    **FIRST,
    "name": "Second",
    "bin/compile": LAST,
    "release.yml": "---\nconfig_vars:\n  NEW: two\n  EMPTY:\naddons:\n- heroku-postgresql\n- papertrail\n",
}


def test_arguments_directories_and_environment(run: Runner, tmp_path: Path) -> None:
    app = source(tmp_path, first=FIRST | {"release.yml": "--- {}\n"}, second=SECOND)
    config = {"SECRET": "s", "LINES": "one\ntwo", "PATH": "/not/exported"}

    async def scenario(builder: Builder) -> None:
        packs = [address("ab12", "first"), address("ab12", "second")]
        more = {"build_id": "ab12", "source_version": "c0ffee", "request_id": "r-1"}
        built = await builder.build(app, packs, config, **more)
        assert built.status == 0, built.log
        lines = built.log.splitlines()
        assert lines.count("app is empty and writable") == 2
        assert lines.count("LINES PATH SECRET    o   n   e  \\n   t   w   o") == 2
        seen = [line for line in lines if re.match(r"(detect|compile|report|release): ", line)]
        root = "/tmp/packs/"
        assert seen == [
            f"detect: 1 {root}0 none none",
            f"compile: 3 {root}0 none none",
            f"report: 3 {root}0 none none",
            f"release: 1 {root}0 none none",
            f"detect: 1 {root}1 none none",
            f"compile: 3 {root}1 by First none",
        ]
        assert re.search(r"^/tmp/build_ab12 /tmp/\S+ /tmp/env_ab12$", built.log, re.M)
        names = set(next(line for line in lines if " STACK " in line).split())
        known = {"PATH", "HOME", "STACK", "SOURCE_VERSION", "REQUEST_ID", "BUILDPACK_LOG_FILE", "DYNO", "TERM"}
        assert known <= names and not {"SECRET", "GIT_DIR", "LINES"} & names
        assert "-----> First app detected" in lines
        asked = "       Add-ons that the buildpack asks for, and a push does not create: heroku-postgresql, papertrail"
        assert asked in lines
        assert built.result["config_vars"] == {"NEW": "two"}, "the last pack's, as with process types"

    run(scenario)


def test_report_runs_after_a_failure_too(run: Runner, tmp_path: Path) -> None:
    failing = {
        "bin/detect": DETECT,
        "bin/compile": "#!/bin/sh\necho 'export A=1' > export\nexit 7\n",
        "bin/report": '#!/bin/sh\ncat export >&2; rm -r "$1"\nexit 3\n',
    }
    app = source(tmp_path, failing=failing)

    async def scenario(builder: Builder) -> None:
        built = await builder.build(app, [address("ab13", "failing")], build_id="ab13")
        assert built.status == 1
        assert built.log.endswith("\n !     Push rejected, failed to compile Test app.\n\n !     Push failed\n")

    run(scenario)


def test_the_override_of_old_times(run: Runner, tmp_path: Path) -> None:
    app = source(tmp_path, old={"bin/detect": DETECT, "bin/compile": '#!/bin/sh\ntouch "$1/Procfile"\n'})

    async def scenario(builder: Builder) -> None:
        pack = address("ab14", "old")
        built = await builder.build(app, ["heroku/nodejs"], {"BUILDPACK_URL": pack}, build_id="ab14")
        assert built.status == 0, built.log
        assert (
            " !     The config var BUILDPACK_URL goes before the buildpacks of the app. It is deprecated:" in built.log
        )
        assert f"-----> Using buildpack: {pack}" in built.log
        assert built.result["buildpacks"] == [], "it is not pinned"

    run(scenario)


MANIFEST = {
    "name": "Shop",
    "buildpacks": [{"url": "PACK"}],
    "env": {"A": "set", "B": {"required": False}, "C": {"description": "a key"}, "D": {"generator": "secret"}},
    "formation": {"web": {"quantity": 2, "size": "basic"}},
    "addons": ["heroku-postgresql", {"plan": "papertrail:choklad"}],
    "scripts": {"postdeploy": "bin/setup"},
}


def test_app_json_at_the_first_push(run: Runner, tmp_path: Path) -> None:
    app = source(tmp_path, own={"bin/detect": DETECT, "bin/compile": '#!/bin/sh\ntouch "$1/Procfile"\n'})
    pack = address("ab15", "own")
    (app / "app.json").write_text(json.dumps(MANIFEST).replace("PACK", pack))

    async def scenario(builder: Builder) -> None:
        built = await builder.build(app, config={"D": "x"}, build_id="ab15", first=True)
        assert built.log.splitlines()[1:10] == [
            "-----> Found app.json",
            f"       Buildpacks: {pack} (which the app has from now on)",
            "       Add-ons that it asks for, and a push does not create: heroku-postgresql, papertrail:choklad",
            "       Formation, which a push does not change: web=2",
            "       Script postdeploy, which a push does not run: bin/setup",
            " !     Config vars that app.json requires are not set: A, C",
            "       Set them by: pogo config:set A=… C=…",
            f"-----> Using buildpack: {pack}",
            "-----> Test app detected",
        ], built.log
        assert built.result["buildpacks"][0]["name"] == pack
        later = await builder.build({"app.json": "{}", "Procfile": "web: x"})
        assert "app.json" not in later.log
        broken = await builder.build({"app.json": '{"env": 5}', "Procfile": "web: x"}, first=True)
        assert broken.status == 0
        assert " !     It is passed over, since it is not valid:\n       `env` must be an object\n" in broken.log

    run(scenario)


def test_a_build_tree_that_is_gone(run: Runner, tmp_path: Path) -> None:
    app = source(tmp_path, wild={"bin/detect": DETECT, "bin/compile": '#!/bin/sh\nrm -rf "$1"\n'})

    async def scenario(builder: Builder) -> None:
        built = await builder.build(app, [address("ab16", "wild")], build_id="ab16")
        assert built.status == 1
        assert " !     The build tree is gone: a buildpack removed or replaced its BUILD_DIR." in built.log

    run(scenario)
