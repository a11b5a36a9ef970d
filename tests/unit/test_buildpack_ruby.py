"""The decisions of the Ruby pack: which Ruby, which gems, from where, and what to say when it fails."""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "buildpacks/ruby/lib"))

from pack.steps import BuildFailed
from ruby_pack import debian, gems, lockfile, processes, rails, requirements, runtime, version
from ruby_pack.app import App
from ruby_pack.lockfile import Gem
from ruby_pack.runtime import Ruby

LOCK = """\
GIT
  remote: https://example.com/odd.git
  revision: 0123456789abcdef
  specs:
    odd (0.1.0)

GEM
  remote: https://rubygems.org/
  specs:
    mini_portile2 (2.8.7)
    nokogiri (1.18.2)
      mini_portile2 (~> 2.8.2)
      racc (~> 1.4)
    nokogiri (1.18.2-x86_64-linux-gnu)
      racc (~> 1.4)
    racc (1.8.1)
    rack (3.1.20)
    railties (7.2.2.2)
      rack (>= 2.2.4, < 3.2)
    sqlite3 (1.7.3)

PLATFORMS
  arm64-darwin-23
  x86_64-linux

DEPENDENCIES
  nokogiri
  odd!
  railties

RUBY VERSION
   ruby 3.3.5p100

BUNDLED WITH
   2.5.22
"""


def an_app(tmp_path: Path, lock: str = LOCK, ruby: str = "3.3.14") -> App:
    build_dir, cache = tmp_path / "build", tmp_path / "cache"
    build_dir.mkdir()
    cache.mkdir()
    return App(build_dir, cache, Ruby(ruby), lockfile.parse(lock), {"BUNDLE_WITHOUT": "development:test"})


def test_a_lock_is_read_in_full() -> None:
    lock = lockfile.parse(LOCK.replace("\n", "\r\n"))
    assert (lock.ruby, lock.engine, lock.bundler) == ("3.3.5", "", "2.5.22")
    assert lock.remotes == ("https://rubygems.org/",)
    assert lock.platforms == ("arm64-darwin-23", "x86_64-linux")
    assert lock.version("railties") == "7.2.2.2" and not lock.version("rails")
    assert Gem("nokogiri", "1.18.2", "x86_64-linux-gnu", "gem", {"racc": "~> 1.4"}) in lock.gems
    assert [gem.full_name for gem in lock.closure(["railties", "odd"])] == [
        "odd-0.1.0",
        "rack-3.1.20",
        "railties-7.2.2.2",
    ]
    jruby = lockfile.parse("RUBY VERSION\n   ruby 3.1.4p0 (jruby 9.4.8.0)\n")
    assert (jruby.ruby, jruby.engine) == ("3.1.4", "jruby 9.4.8.0")
    assert lockfile.parse("RUBY VERSION\n   ruby 3.5.0.preview1\n").ruby == "3.5.0-preview1"


def test_a_missing_or_conflicting_lock_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="bundle install"):
        lockfile.load(tmp_path)
    (tmp_path / "Gemfile.lock").write_text(f"<<<<<<< HEAD\n{LOCK}")
    with pytest.raises(BuildFailed, match="merge conflict"):
        lockfile.load(tmp_path)


def test_a_lock_for_other_machines_only_is_refused() -> None:
    lockfile.check_platform(lockfile.parse(LOCK), "x86_64")
    with pytest.raises(BuildFailed, match="bundle lock --add-platform aarch64-linux"):
        lockfile.check_platform(lockfile.parse(LOCK), "aarch64")


@pytest.mark.parametrize(
    ("text", "requirement", "expected"),
    [
        ("3.3.14", "3.3.14", True),
        ("3.3.14", "3.3.9", False),
        ("3.3.14", "~> 3.3.9", True),
        ("3.4.0", "~> 3.3.9", False),
        ("3.4.0", "~> 3.3", True),
        ("4.0.0", "~> 3", False),
        ("3.3.14", ">= 3.3.9", True),
        ("3.5.0-rc1", ">= 3.5.0", False),
        ("3.3.0", "= 3.3", True),
        ("3.3.14", "!= 3.3.14", False),
        ("3.3.14", "< 3.4", True),
    ],
)
def test_requirements_are_those_of_rubygems(text: str, requirement: str, expected: bool) -> None:
    assert requirements.satisfies(text, [requirement]) is expected


def test_a_requirement_that_is_none_is_refused() -> None:
    with pytest.raises(BuildFailed, match="'latest' is not a version of Ruby"):
        requirements.satisfies("3.3.14", ["latest"])


@pytest.mark.parametrize(
    ("files", "lock", "asked"),
    [
        ({"Gemfile": 'ruby "3.2.2"'}, "", version.Wanted(("3.2.2",), "the Gemfile", "3.2.2", True)),
        ({"Gemfile": "ruby '>= 3.1', '< 4'"}, "3.3.5", version.Wanted((">= 3.1", "< 4"), "the Gemfile", "3.3.5", True)),
        (
            {"Gemfile": 'ruby file: ".ruby-version"', ".ruby-version": "ruby-3.4.1\n"},
            "",
            version.Wanted(("3.4.1",), ".ruby-version", "3.4.1", True),
        ),
        ({"Gemfile": "ruby ENV['V']"}, "3.3.5", version.Wanted(("3.3.5",), "Gemfile.lock", "3.3.5", True)),
        ({"Gemfile": "", ".ruby-version": "3.3"}, "", version.Wanted(("~> 3.3.0",), ".ruby-version")),
        (
            {"Gemfile": "", ".tool-versions": "nodejs 22\nruby 3.4.1 # ours"},
            "",
            version.Wanted(("3.4.1",), ".tool-versions", "3.4.1"),
        ),
        ({"Gemfile": "# ruby '2.0'", ".tool-versions": "nodejs 22"}, "", version.Wanted()),
    ],
)
def test_the_ruby_that_is_asked_for(tmp_path: Path, files: dict[str, str], lock: str, asked: version.Wanted) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    text = f"RUBY VERSION\n   ruby {lock}p0\n" if lock else ""
    assert version.wanted(tmp_path, lockfile.parse(text)) == asked


def test_the_stacks_ruby_is_taken_where_it_fits() -> None:
    def fits(*requirement: str, exact: str = "") -> bool:
        return version.fits("3.3.14", version.Wanted(requirement, "the Gemfile", exact, True))

    assert fits() and fits("~> 3.3.0", exact="3.3.5") and fits("3.3.14", exact="3.3.14")
    assert not fits(">= 3.1", exact="3.4.1")  # made with a newer series: fetched if it can be had
    assert version.may_replace("3.3.14", version.Wanted((">= 3.1",), "the Gemfile", "3.4.1", True))
    assert not version.may_replace("3.3.14", version.Wanted(("3.3.5",), "the Gemfile", "3.3.5", True))
    assert version.may_replace("3.3.14", version.Wanted(("3.3.5",), ".ruby-version", "3.3.5"))


def test_another_ruby_is_fetched_kept_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "of_stack", lambda: "3.3.14")
    site, cache = tmp_path / "site", tmp_path / "cache"
    env = {**os.environ, "STACK": "heroku-22", "BUILDPACK_VENDOR_URL": f"file://{site}"}
    asked = version.Wanted(("3.4.1",), "the Gemfile", "3.4.1", True)
    cache.mkdir()
    with pytest.raises(BuildFailed, match=r"(?s)cannot be fetched from file://.*The stack has Ruby 3.3.14") as refused:
        runtime.choose(asked, tmp_path / "one", cache, env)
    assert 'ruby "~> 3.3.0"' in str(refused.value)
    (site / "heroku-22").mkdir(parents=True)
    program = tmp_path / "ruby"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    with tarfile.open(site / "heroku-22/ruby-3.4.1.tgz", "w:gz") as tar:
        tar.add(program, "bin/ruby")
    ruby = runtime.choose(asked, tmp_path / "one", cache, env)
    assert ruby == Ruby("3.4.1", "vendor/ruby-3.4.1") and ruby.gems == "vendor/bundle/ruby/3.4.0"
    (site / "heroku-22/ruby-3.4.1.tgz").unlink()
    assert runtime.choose(asked, tmp_path / "two", cache, env) == ruby
    assert (tmp_path / "two/vendor/ruby-3.4.1/bin/ruby").is_file()


def test_heroku_keeps_rubies_by_stack_and_machine() -> None:
    assert runtime.address("3.4.1", {"STACK": "heroku-22"}) == f"{runtime.VENDOR_URL}/heroku-22/ruby-3.4.1.tgz"
    assert runtime.address("3.4.1", {"STACK": "heroku-24"}).startswith(f"{runtime.VENDOR_URL}/heroku-24/a")


def test_the_key_of_gems_follows_what_decides(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    (app.build_dir / "Gemfile.lock").write_text(LOCK)
    first = gems._keys(app)
    assert gems._keys(app) == first
    (app.build_dir / "Gemfile.lock").write_text(LOCK.replace("3.1.20", "3.1.21"))
    second = gems._keys(app)
    assert second[0] == first[0] and second[1] != first[1]
    other = App(app.build_dir, app.cache, Ruby("3.4.1"), app.lock, app.env)
    assert gems._keys(other)[0] != first[0]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("An error occurred while installing pg (1.5.6), and Bundler cannot continue.", r"pg \(1\.5\.6\) could not"),
        ("ld: cannot find -lfoo\nAn error occurred while installing x (1)", "needs the library foo"),
        ("The dependencies in your gemfile changed, but the lockfile can't be updated", "does not fit the Gemfile"),
        ("Your Ruby version is 3.3.14, but your Gemfile specified 3.2.1", "bundle update --ruby"),
        ('Your bundle only supports platforms ["x86-mingw32"]', "--add-platform"),
        ("something else", "its reason is above"),
    ],
)
def test_a_failure_of_bundler_is_explained(said: str, expected: str) -> None:
    import re

    assert re.search(expected, gems.explain(said))


def test_the_variant_that_bundler_takes(tmp_path: Path) -> None:
    lock = lockfile.parse(LOCK)
    chosen = {gem.name: gem.platform for gem in debian.choose_variants(lock.gems, "x86_64")}
    assert chosen["nokogiri"] == "x86_64-linux-gnu" and chosen["racc"] == "ruby"
    assert {gem.platform for gem in debian.choose_variants(lock.gems, "aarch64")} == {"ruby"}


@pytest.mark.parametrize(
    ("gem", "package"),
    [
        ("activesupport", "ruby-activesupport"),
        ("mini_mime", "ruby-mini-mime"),
        ("puma", "puma"),
        ("concurrent-ruby", "ruby-concurrent"),
        ("propshaft", "ruby-rails-propshaft"),
    ],
)
def test_debians_name_of_a_gem_is_among_the_candidates(gem: str, package: str) -> None:
    assert package in debian.candidates(gem)


def test_a_library_named_by_debians_path_is_named_without_it() -> None:
    text = b"""ffi_lib "/usr/lib/#{RbConfig::CONFIG['arch']}/libsass.#{dl_ext}"\nload "/usr/lib/x"\n"""
    assert debian._FFI_PATH.sub(rb"\1", text) == b"""ffi_lib "libsass.#{dl_ext}"\nload "/usr/lib/x"\n"""


def test_default_process_types(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    assert processes.types(app, {"jobs:work"}) == {
        "rake": "bundle exec rake",
        "console": "bundle exec rails console",
        "web": "bundle exec rails server -p ${PORT:-5000} -e $RAILS_ENV",
        "worker": "bundle exec rake jobs:work",
    }
    (app.build_dir / "bin").mkdir()
    (app.build_dir / "bin/rails").touch()
    assert processes.types(app, set())["web"] == "bin/rails server -p ${PORT:-5000} -e $RAILS_ENV"


@pytest.mark.parametrize(
    ("specs", "web"),
    [
        ("rack (2.2.8)", "bundle exec rackup config.ru -p ${PORT:-5000}"),
        ("rack (3.1.20)\n    puma (6.6.0)", "bundle exec puma -p ${PORT:-5000} config.ru"),
        ("rack (2.2.8)\n    thin (1.8.1)", "bundle exec thin start -R config.ru -e $RACK_ENV -p ${PORT:-5000}"),
    ],
)
def test_the_web_server_of_a_rack_app(tmp_path: Path, specs: str, web: str) -> None:
    app = an_app(tmp_path, f"GEM\n  specs:\n    {specs}\n")
    assert "web" not in processes.types(app, set())
    (app.build_dir / "config.ru").touch()
    assert processes.types(app, set())["web"] == web


def test_a_secret_is_made_once_and_rails_gets_it(tmp_path: Path) -> None:
    first = processes.secret(tmp_path)
    assert len(first) == 128 and processes.secret(tmp_path) == first
    assert processes.defaults({"rack": "3", "railties": "7"}, first)["SECRET_KEY_BASE"] == first
    assert "RAILS_ENV" not in processes.defaults({"rack": "3", "railties": ""}, "")


def test_rails_loads_without_a_database(tmp_path: Path) -> None:
    assert rails.database_url(an_app(tmp_path)) == ""  # a file needs no server
    (tmp_path / "pg").mkdir()
    app = an_app(tmp_path / "pg", "GEM\n  specs:\n    pg (1.5.6)\n")
    assert rails.database_url(app) == "postgres://user:pass@127.0.0.1/dbname"


def test_the_oldest_files_leave_a_full_cache(tmp_path: Path) -> None:
    for number in range(3):
        path = tmp_path / f"{number}"
        path.write_bytes(bytes(10))
        os.utime(path, (number, number))
    rails.trim(tmp_path, 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
