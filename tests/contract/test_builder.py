"""The buildpack protocol and what bad input gets, in real containers with small packs of our own."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop
from builder_rig import Builder
from containers_lxc import STACK, agent_installation, missing

from pogo.containers.agent import AgentContainers

Scenario = Callable[[Builder], Awaitable[None]]
Runner = Callable[[Scenario], None]

DETECT = "#!/bin/sh\necho Test\n"
FIRST = {
    "bin/detect": '#!/bin/sh\ntest -f "$1/app.txt" && echo First && pwd > "$1/detect.cwd"\n',
    "bin/compile": """#!/bin/sh
echo "-----> first: $STACK ${SECRET:-not exported} $(cat "$3/SECRET")"
echo "to stderr" >&2
printf 'no newline'
echo
pwd > "$1/compile.cwd"
echo "export TOOL='from the first'" > export
echo again >> "$2/counter"
echo "counted $(wc -l < "$2/counter")"
mkdir -p "$1/.profile.d"
echo 'export GREETING=hello' > "$1/.profile.d/first.sh"
echo 'worker: sleep 1' > "$1/Procfile"
""",
    "bin/release": "#!/bin/sh\nprintf -- '---\\ndefault_process_types:\\n  never: x\\n'\n",
    "bin/report": '#!/bin/sh\necho "tool_set: ${TOOL:-no}"\n',
}
SECOND = {
    "bin/detect": '#!/bin/sh\ntest -f "$1/compile.cwd" && echo Second\n',
    "bin/compile": '#!/bin/sh\necho "second sees: $TOOL"\necho \'web: $(not) "quoted": # fine\' >> "$1/Procfile"\n',
    "bin/release": "#!/bin/sh\nprintf -- 'default_process_types:\\n  web: unused\\n  console: irb --x \"a\"\\n'\n",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    if reason := missing():
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("builds")
    with agent_installation() as agent:

        async def with_builder(scenario: Scenario) -> None:
            await scenario(Builder(AgentContainers(agent.installation.socket), STACK, directory))

        yield lambda scenario: uvloop.run(with_builder(scenario))


def repository(directory: Path, name: str, files: Mapping[str, str]) -> None:
    """A bare git repository of a pack, with the tag v1 and a later commit whose compile fails."""
    tree = directory / "tree" / name
    author = {"GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(directory)}
    for key in ("AUTHOR", "COMMITTER"):
        author |= {f"GIT_{key}_NAME": "t", f"GIT_{key}_EMAIL": "t@example.com"}

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tree, check=True, capture_output=True, env={**os.environ, **author})

    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "one")
    git("tag", "v1")
    (tree / "bin/compile").write_text("#!/bin/sh\nexit 9\n")
    git("commit", "-qam", "broken")
    git("clone", "-q", "--bare", ".", str(directory / f"app/packs/{name}.git"))


def source(tmp_path: Path, **packs: Mapping[str, str]) -> Path:
    """An app that carries the packs' repositories, so that the container reaches them without a network."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "app.txt").touch()
    for name, files in packs.items():
        repository(tmp_path, name, files)
    return app


def address(build_id: str, name: str, ref: str = "#v1") -> str:
    return f"file:///tmp/build_{build_id}/packs/{name}.git{ref}"


def test_packs_run_in_order_and_see_what_the_contract_says(run: Runner, tmp_path: Path) -> None:
    app = source(tmp_path, first=FIRST, second=SECOND)

    async def scenario(builder: Builder) -> None:
        packs = [address("a1", "first"), address("a1", "second")]
        built = await builder.build(app, packs, {"SECRET": "config var"}, build_id="a1")
        assert built.log.splitlines() == [
            "-----> Building on the Pogo-13 stack",
            "-----> Using buildpacks:",
            f"       1. {packs[0]}",
            f"       2. {packs[1]}",
            "-----> First app detected",
            "-----> first: heroku-24 not exported config var",
            "to stderr",
            "no newline",
            "counted 1",
            "-----> Second app detected",
            "second sees: from the first",
            "-----> Discovering process types",
            "       Procfile declares types     -> web, worker",
            "       Default types for buildpack -> console",
            "-----> Compressing...",
            f"       {built.log.splitlines()[-1].strip()}",
        ]
        result = built.result
        assert result["process_types"] == {
            "worker": "sleep 1",
            "web": '$(not) "quoted": # fine',
            "console": 'irb --x "a"',
        }
        assert result["detected"] == "Second"
        assert result["default_types"] == ["console"]
        assert [pack["url"] for pack in result["buildpacks"]] == packs
        assert result["report"] == ["tool_set: no\n", ""]
        status, output = await builder.run(
            built, "echo $GREETING; cat detect.cwd compile.cwd; ls -ld /app /app/Procfile"
        )
        assert status == 0
        assert output.splitlines()[:3] == ["hello", "/tmp/packs/0", "/tmp/packs/0"]
        again = await builder.build(app, packs[:1], {"SECRET": "x"}, built.cache, build_id="a1")
        assert "counted 2" in again.log

    run(scenario)


def test_a_failing_compile_ends_the_build(run: Runner, tmp_path: Path) -> None:
    app = source(tmp_path, broken=FIRST)

    async def scenario(builder: Builder) -> None:
        built = await builder.build(app, [address("b1", "broken", "")], build_id="b1")
        assert built.status == 1
        ending = [" !     Push rejected, failed to compile First app.", "", " !     Push failed"]
        assert built.log.splitlines()[-3:] == ending

    run(scenario)


def test_a_listed_pack_may_refuse_the_app(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        built = await builder.build({"x": ""}, ["heroku/nodejs"])
        assert built.status == 1
        assert "-----> App not compatible with buildpack: heroku/nodejs\n       Error: Application not" in built.log
        assert built.log.endswith("\n !     Push failed\n")

    run(scenario)


@pytest.mark.parametrize(
    ("pack", "reason"),
    [
        ("file:///nowhere/x.git", "Could not fetch the buildpack file:///nowhere/x.git:"),
        ("nobody/nothing", "Couldn't find the buildpack 'nobody/nothing'"),
        ("http://127.0.0.1:1/x.tgz", "Could not fetch the buildpack http://127.0.0.1:1/x.tgz:"),
    ],
)
def test_a_pack_that_cannot_be_had(run: Runner, pack: str, reason: str) -> None:
    async def scenario(builder: Builder) -> None:
        built = await builder.build({"x": ""}, [pack])
        assert built.status == 1
        assert f" !     {reason}" in built.log
        assert built.log.endswith("\n !     Push failed\n")

    run(scenario)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"x": ""}, "No default language could be detected for this app."),
        ({"Procfile": "web run\n"}, "The Procfile is not valid: line 1: 'web run' is not of the form"),
        (
            {"Procfile": "# x\nmy worker: y\n"},
            "The Procfile is not valid: line 2: 'my worker' is not a process type",
        ),
        ({"package.json": "{"}, "package.json is not valid"),
        ({"package.json": '{"engines": {"node": "99.x"}}'}, "No version of node matches '99.x'"),
        (
            {"requirements.txt": "", ".python-version": "3.9"},
            "Python 3.9, asked for by .python-version, is not available",
        ),
        ({"requirements.txt": "no-such-package-of-pogo==99"}, "pip could not install the dependencies"),
        ({"static.json": '{"root": "nowhere"}'}, "static.json: root: 'nowhere' is not a directory of the app."),
    ],
)
def test_what_bad_input_gets(run: Runner, files: Mapping[str, str], reason: str) -> None:
    async def scenario(builder: Builder) -> None:
        built = await builder.build(files)
        assert built.status == 1
        assert f" !     {reason}" in built.log
        assert built.log.endswith("\n !     Push failed\n")

    run(scenario)


def test_a_slug_over_the_limit_is_refused(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: x")
    (tmp_path / "noise").write_bytes(os.urandom(1_500_000))

    async def scenario(builder: Builder) -> None:
        built = await builder.build(tmp_path, slug_max_mb=1)
        assert built.status == 1
        assert " !     Compiled slug size: 1.4M is too large (max is 1M)." in built.log

    run(scenario)


def test_slugignore_and_the_repository_itself_are_left_out(run: Runner) -> None:
    files = {
        ".slugignore": "*.psd\n/docs\n",
        "a/b.psd": "",
        "docs/x/y": "",
        "docs/z": "",
        "Procfile": "web: x",
        ".git/HEAD": "",
    }

    async def scenario(builder: Builder) -> None:
        built = await builder.build(files)
        assert "-----> Deleting 3 files matching .slugignore patterns." in built.log
        status, output = await builder.run(built, "ls -A . a")
        assert (status, output.split()) == (0, [".:", ".slugignore", "Procfile", "a", "a:"])

    run(scenario)


def test_a_damaged_cache_costs_only_time(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"not an archive")

    async def scenario(builder: Builder) -> None:
        built = await builder.build({"Procfile": "web: x"}, cache=tmp_path / "cache")
        assert built.status == 0
        assert " !     The build cache is damaged; it is made anew" in built.log

    run(scenario)


def test_what_the_app_leaves_behind_does_not_run_in_the_second_half(run: Runner, tmp_path: Path) -> None:
    planted = """#!/bin/sh
for name in pogo json sitecustomize usercustomize subprocess; do echo 'import os; os.abort()' > "/app/$name.py"; done
site=$(HOME=/app python3 -m site --user-site)
mkdir -p "$site"
echo 'import os; os.abort()' > "$site/usercustomize.py"
touch "$1/Procfile"
"""
    app = source(tmp_path, evil={"bin/detect": DETECT, "bin/compile": planted})

    async def scenario(builder: Builder) -> None:
        built = await builder.build(app, [address("c1", "evil")], build_id="c1")
        assert built.status == 0, built.log

    run(scenario)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("/etc/x", "")], "points outside the tree"),
        ([("a/../../x", "")], "points outside the tree"),
        ([("link", "@/tmp"), ("link/x", "")], "lies behind a symbolic link"),
        ([("hard", "=/etc/passwd")], "is a hard link to '/etc/passwd'"),
        ([("pipe", "|")], "is a device or a pipe"),
        ([("x", "@../../etc/passwd")], "has symbolic links that lead out of it.\n       x -> ../../etc/passwd"),
        ([], "The source is refused: it is empty"),
        (None, "The source is refused: it is not a readable .tar"),
    ],
)
def test_a_hostile_source_is_refused(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: list[tuple[str, str]] | None, reason: str
) -> None:
    async def scenario(builder: Builder) -> None:
        monkeypatch.setattr("builder_rig._archive", lambda _, target: write_hostile(target, members))
        built = await builder.build({})
        assert built.status == 1
        assert reason in built.log

    run(scenario)


def write_hostile(target: Path, members: list[tuple[str, str]] | None) -> None:
    """Members by name and kind: `@` symbolic link, `=` hard link, `|` pipe, else a file. None: no archive at all."""
    if members is None:
        target.write_text("this is no archive")
        return
    with tarfile.open(target, "w") as tar:
        for name, what in members:
            info = tarfile.TarInfo(name)
            info.type = {"@": tarfile.SYMTYPE, "=": tarfile.LNKTYPE, "|": tarfile.FIFOTYPE}.get(
                what[:1], tarfile.REGTYPE
            )
            info.linkname = what[1:]
            tar.addfile(info, io.BytesIO())
