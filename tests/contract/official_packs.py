"""Copies of Heroku's buildpacks to test with, and a small app for each.

`POGO_TEST_PACKS` names a folder of their git repositories, laid out as POGO_MIRROR_GIT takes it:
`heroku/heroku-buildpack-<name>`, or `heroku+heroku-buildpack-<name>`, bare or with a work tree.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pogo.mirror.repositories import Repositories

IDENTITY = {f"GIT_{who}_{what}": "tests" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
SERVER = "python3 -m http.server $PORT"


@dataclass(frozen=True)
class Sample:
    """files: of the app. answer: what `/` says afterwards. config: vars. needs: a pattern of an artefact of the
    mirror that takes minutes to make, and what makes it."""

    files: Mapping[str, str]
    answer: str
    config: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, str] = ("", "")


SAMPLES = {
    "inline": Sample(
        {
            "bin/detect": "#!/bin/sh\necho Inline\n",
            "bin/compile": '#!/bin/sh\necho made > "$1/index.html"\n',
            "bin/release": f"#!/bin/sh\nprintf 'default_process_types:\\n  web: {SERVER}\\n'\n",
        },
        "made\n",
    ),
    "multi-procfile": Sample(
        {"one/Procfile": f"web: {SERVER}\n", "index.html": "made\n"}, "made\n", {"PROCFILE": "one/Procfile"}
    ),
    "c": Sample(
        {
            "Makefile": "hello: hello.c\n\tcc -o hello hello.c\n",
            "hello.c": '#include <stdio.h>\nint main(void) { puts("made"); return 0; }\n',
            "Procfile": f"web: ./hello > index.html && {SERVER}\n",
        },
        "made\n",
    ),
    "apt": Sample({"Aptfile": "hello\n", "Procfile": f"web: hello > index.html && {SERVER}\n"}, "Hello, world!\n"),
    "nginx": Sample(
        {
            "Procfile": "web: bin/start-nginx-solo\n",
            "public/index.html": "made\n",
            "config/nginx.conf.erb": "daemon off;\nworker_processes 1;\nevents { worker_connections 64; }\n"
            'http { server { listen <%= ENV["PORT"] %>; root /app/public; } }\n',
        },
        "made\n",
    ),
    "pgbouncer": Sample(
        {"Procfile": f"web: echo made > index.html && bin/start-pgbouncer {SERVER}\n"},
        "made\n",
        {"DATABASE_URL": "postgres://someone:secret@127.0.0.1:5432/shop"},
    ),
    "nodejs": Sample(
        {
            "package.json": '{"name": "shop", "version": "1.0.0", "engines": {"node": "22.x"},'
            ' "scripts": {"build": "echo made > built", "start": "node server.js"}, "dependencies": {"ms": "2.1.3"}}',
            "server.js": "const text = require('ms')(60000) + ' ' + process.version.split('.')[0]"
            " + ' ' + require('fs').readFileSync('built');\n"
            "require('http').createServer((_, answer) => answer.end(text)).listen(process.env.PORT);\n",
        },
        "1m v22 made\n",
    ),
    "python": Sample(
        {
            ".python-version": "3.13\n",
            "requirements.txt": "flask\ngunicorn\n",
            "Procfile": "web: gunicorn app:app\n",
            "app.py": "import sqlite3, ssl, sys\nfrom flask import Flask\napp = Flask(__name__)\n"
            "@app.get('/')\ndef index(): return f'{sys.prefix} {sys.version_info.minor}'\n",
        },
        "/app/.heroku/python 13",
        needs=("python/python-3.13.*-pogo-13-*.tar.zst", "python@3.13"),
    ),
    "ruby": Sample(
        {
            "Gemfile": 'source "https://rubygems.org"\nruby "3.3.8"\n',
            "Gemfile.lock": "GEM\n  remote: https://rubygems.org/\n  specs:\n\nPLATFORMS\n  ruby\n  x86_64-linux\n\n"
            "DEPENDENCIES\n\nRUBY VERSION\n   ruby 3.3.8p144\n\nBUNDLED WITH\n   2.5.22\n",
            "Procfile": "web: bundle exec ruby server.rb\n",
            "server.rb": 'require "socket"\nserver = TCPServer.new("0.0.0.0", ENV["PORT"].to_i)\nloop do\n'
            "  client = server.accept\n  client.gets\n"
            '  head = "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\nConnection: close\\r\\n\\r\\n"\n'
            "  client.write(head + RUBY_VERSION)\n"
            "  client.close\nend\n",
        },
        "3.3.8",
        needs=("ruby/ruby-3.3.8-pogo-13-*.tgz", "ruby@3.3.8"),
    ),
    "go": Sample(
        {
            "go.mod": "module example.com/shop\n\n// +heroku goVersion go1.24.11\ngo 1.24\n",
            "main.go": 'package main\n\nimport (\n\t"net/http"\n\t"os"\n\t"runtime"\n)\n\nfunc main() {\n'
            '\thttp.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {\n'
            "\t\tanswer.Write([]byte(runtime.Version()))\n\t})\n"
            '\tpanic(http.ListenAndServe(":"+os.Getenv("PORT"), nil))\n}\n',
        },
        "go1.24.11",
        needs=("go/go1.24.11.linux-*.tar.gz", "go@1.24.11"),
    ),
}


def folder() -> Path | None:
    named = os.environ.get("POGO_TEST_PACKS", "")
    return Path(named) if named else None


def serve_from(packs: Path, target: Path) -> list[str]:
    """Fill `target` with repositories that can be fetched; the names of the packs that are there.

    A copy may lack files (the largest are left out of some archives): such a pack is committed again
    without them. Everything else in it stays as it is.
    """
    found = []
    for name in SAMPLES:
        place = Repositories(packs).find(f"/heroku/heroku-buildpack-{name}/info/refs")
        if place is None:
            continue
        link = target / f"heroku+heroku-buildpack-{name}"
        lacking = _missing(place.repository)
        if lacking:
            print(f"The copy of {name} lacks {', '.join(sorted(lacking))}")
            _without(place.repository, lacking, link)
        else:
            link.symlink_to(place.repository)
        found.append(name)
    return found


def _git(repository: Path, *arguments: str, input: str = "") -> str:
    command = ["git", "-c", "safe.directory=*", "-C", str(repository), *arguments]
    env = {**os.environ, **IDENTITY}
    return subprocess.run(command, input=input, env=env, capture_output=True, text=True, check=True).stdout


def _missing(repository: Path) -> set[str]:
    """Paths of the newest commit whose contents are not there."""
    files = dict(line.split("\t")[::-1] for line in _git(repository, "ls-tree", "-r", "HEAD").splitlines())
    objects = {path: entry.split()[2] for path, entry in files.items()}
    checked = _git(repository, "cat-file", "--batch-check", input="\n".join(objects.values()) + "\n")
    gone = {line.split()[0] for line in checked.splitlines() if line.endswith(" missing")}
    return {path for path, name in objects.items() if name in gone}


def _without(repository: Path, paths: set[str], target: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(target)], check=True)
    objects = _git(repository, "rev-parse", "--path-format=absolute", "--git-path", "objects").strip()
    (target / "objects/info/alternates").write_text(f"{objects}\n")
    kept = [line for line in _git(repository, "ls-tree", "-r", "HEAD").splitlines() if line.split("\t")[1] not in paths]
    _git(target, "update-index", "--index-info", input="\n".join(kept) + "\n")
    tree = _git(target, "write-tree", "--missing-ok").strip()
    commit = _git(target, "commit-tree", tree, "-m", "without files that the copy lacks").strip()
    _git(target, "update-ref", "refs/heads/main", commit)
