"""The Ruby pack with real bundler in real containers: a gem index on loopback, Debian's packages, vendor/cache."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import pytest
import uvloop
from builder_rig import Builder
from containers_lxc import STACK, agent_installation, missing

from pogo.containers.agent import AgentContainers

Scenario = Callable[[Builder], Awaitable[None]]
Runner = Callable[[Scenario], None]
PACK = ["pogo/ruby"]

INDEX = r"""#!/usr/bin/env bash
# Stands for a gem index: builds two gems, one of them in C, and serves them as rubygems.org does.
set -eu
work=$(mktemp -d); mkdir -p $work/site/gems $work/site/info; cd $work
gem_of() {
    mkdir -p $1/lib; cd $1
    printf 'Gem::Specification.new do |s|\n s.name = "%s"\n s.version = "%s"\n' $1 $2 > x.gemspec
    printf ' s.summary = "x"\n s.authors = ["x"]\n s.files = Dir["{lib,ext}/**/*"]\n' >> x.gemspec
    printf ' s.extensions = Dir["ext/extconf.rb"]\nend\n' >> x.gemspec
    gem build --quiet x.gemspec > /dev/null 2>&1; cp $1-$2.gem $work/site/gems; cd $work
    printf -- '---\n%s |checksum:%s\n' $2 $(sha256sum site/gems/$1-$2.gem | cut -d' ' -f1) > site/info/$1
    printf '%s %s %s\n' $1 $2 $(md5sum site/info/$1 | cut -d' ' -f1) >> versions
}
mkdir -p greeting/lib answer/ext
echo 'def greeting = "good morning"' > greeting/lib/greeting.rb
echo 'require "mkmf"; abort "libanswer is missing" if ENV["NO_ANSWER"]' > answer/ext/extconf.rb
echo 'create_makefile("answer")' >> answer/ext/extconf.rb
cat > answer/ext/answer.c <<'C'
#include <ruby.h>
static VALUE answer(VALUE self) { return INT2FIX(42); }
void Init_answer(void) { rb_define_global_function("answer", answer, 0); }
C
gem_of greeting 1.0.0; gem_of answer 2.1.0
{ printf 'created_at: 2026-01-01T00:00:00Z\n---\n'; cat versions; } > site/versions
cd site
cat > ../serve.py <<'PY'
import http.server, os, sys
server = http.server.HTTPServer(("127.0.0.1", 9292), http.server.SimpleHTTPRequestHandler)
server.timeout = 0.1
while os.path.exists(f"/proc/{sys.argv[1]}"):  # as long as the pack runs
    server.handle_request()
PY
python3 ../serve.py $PPID > /dev/null 2>&1 &
for try in $(seq 50); do curl -s -o /dev/null http://127.0.0.1:9292/versions && break; sleep 0.1; done
"""
GEMFILE = (
    'source "https://rubygems.org"\ngem "greeting"\ngem "answer"\ngroup(:development) { gem "debugger-of-mine" }\n'
)
LOCK = """\
GEM
  remote: https://rubygems.org/
  specs:
    answer (2.1.0)
    debugger-of-mine (0.1.0)
    greeting (1.0.0)

PLATFORMS
  ruby

DEPENDENCIES
  answer
  debugger-of-mine
  greeting
"""
APP = {
    "Gemfile": GEMFILE,
    "Gemfile.lock": LOCK,
    "bin/pre_compile": INDEX,
    "app.rb": 'require "bundler/setup"\nBundler.require\nputs "#{greeting} #{answer} #{ENV["LANG"]}"\n',
}
MIRROR = {"BUNDLE_MIRROR__ALL": "http://127.0.0.1:9292"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    if reason := missing():
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("builds")
    with agent_installation() as agent:

        async def with_builder(scenario: Scenario) -> None:
            await scenario(Builder(AgentContainers(agent.installation.socket), STACK, directory))

        yield lambda scenario: uvloop.run(with_builder(scenario))


def test_gems_of_an_index_are_compiled_and_kept(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        first = await builder.build(APP, PACK, config=MIRROR)
        assert first.status == 0, first.log
        assert "Running: BUNDLE_WITHOUT='development:test' bundle install" in first.log
        assert "Installing answer 2.1.0 with native extensions" in first.log
        second = await builder.build(APP, PACK, config=MIRROR, cache=first.cache)
        assert second.status == 0, second.log
        assert "Using the gems of the last build" in second.log
        assert set(second.result["process_types"]) == {"console", "rake"}
        status, output = await builder.run(second, "bundle exec ruby app.rb; bundle list; which bundle")
        assert status == 0, output
        assert output.startswith("good morning 42 en_US.UTF-8\n")
        assert "debugger-of-mine" not in output

    run(scenario)


def test_a_gem_that_does_not_compile_is_named(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        built = await builder.build(APP, PACK, config={**MIRROR, "NO_ANSWER": "1"})
        assert built.status == 1
        assert "libanswer is missing" in built.log
        assert " !     The gem answer (2.1.0) could not be installed; the reason is above." in built.log

    run(scenario)


def test_a_lock_that_debian_cannot_serve_is_refused_line_by_line(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        gemfile = 'source "http://127.0.0.1:9"\ngem "sinatra"\ngem "greeting"\n'
        lock = LOCK.replace("https://rubygems.org/", "http://127.0.0.1:9/").replace("answer (2.1.0)", "sinatra (0.1.0)")
        lock = lock.replace("  answer\n", "  sinatra\n").replace("  debugger-of-mine\n", "")
        built = await builder.build({"Gemfile": gemfile, "Gemfile.lock": lock}, PACK)
        assert built.status == 1
        assert " !     The gem index http://127.0.0.1:9/ cannot be reached" in built.log
        assert " !       greeting 1.0.0: Debian has no package of it\n" in built.log
        assert " !       sinatra 0.1.0: Debian has 4." in built.log

    run(scenario)
