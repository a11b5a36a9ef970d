"""What the app's processes are and what they find in their environment."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from pack.steps import warning

from ruby_pack import javascript
from ruby_pack.app import COMMANDS, SHARED, App

WITHOUT = "development:test"


def types(app: App, tasks: set[str]) -> dict[str, str]:
    """Heroku's default process types of a Ruby app."""
    found = {"rake": "bundle exec rake", "console": "bundle exec irb"}
    thin = app.lock.has("thin")
    if app.at_least("railties", 3):
        rails = "bin/rails" if (app.build_dir / "bin/rails").is_file() else "bundle exec rails"
        found["web"] = f"{rails} server -p ${{PORT:-5000}} -e $RAILS_ENV"
        if thin and not app.at_least("railties", 4):
            found["web"] = "bundle exec thin start -R config.ru -e $RAILS_ENV -p ${PORT:-5000}"
        found["console"] = f"{rails} console"
    elif app.lock.has("rack") and (app.build_dir / "config.ru").is_file():
        if thin:
            found["web"] = "bundle exec thin start -R config.ru -e $RACK_ENV -p ${PORT:-5000}"
        elif app.at_least("rack", 3) and app.lock.has("puma") and not app.lock.has("rackup"):
            found["web"] = "bundle exec puma -p ${PORT:-5000} config.ru"  # rack 3 has no rackup of its own
        else:
            found["web"] = "bundle exec rackup config.ru -p ${PORT:-5000}"
    if "jobs:work" in tasks:
        found["worker"] = "bundle exec rake jobs:work"
    return found


def defaults(lock_versions: Mapping[str, str], secret: str) -> dict[str, str]:
    """Variables that the app may set otherwise. lock_versions: of `rack` and `railties`, empty where not used."""
    found = {"LANG": "en_US.UTF-8", "PUMA_PERSISTENT_TIMEOUT": "95", "MALLOC_ARENA_MAX": "2"}
    if lock_versions["rack"]:
        found["RACK_ENV"] = "production"
    if lock_versions["railties"]:
        found |= {
            "RAILS_ENV": "production",
            "SECRET_KEY_BASE": secret,
            "RAILS_SERVE_STATIC_FILES": "enabled",
            "RAILS_LOG_TO_STDOUT": "enabled",
        }
    return found


def secret(cache: Path) -> str:
    """The same in every build of the app, so that sessions outlive a deploy."""
    file = cache / "secret_key_base"
    if not file.is_file():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(64))
    return file.read_text()


def describe(app: App, given: Mapping[str, str], pack: Path) -> None:
    """Write .profile.d/ruby.sh for the processes, and `export` for the packs that come after this one."""
    profile = app.build_dir / ".profile.d/ruby.sh"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text("\n".join(_lines(app, given, "$HOME")) + "\n")
    (pack / "export").write_text("\n".join(_lines(app, given, str(app.build_dir))) + "\n")


def _lines(app: App, given: Mapping[str, str], home: str) -> list[str]:
    lines = [f"export {name}=${{{name}:-{shlex.quote(value)}}}" for name, value in given.items()]
    ruby = app.ruby.directory or COMMANDS
    paths = [f"{home}/{name}" for name in ("bin", "vendor/bundle/bin", f"{app.ruby.gems}/bin", f"{ruby}/bin")]
    paths += [f"{home}/{path.relative_to(app.build_dir)}" for path in javascript.directories(app.build_dir)]
    lines += [
        f'export GEM_PATH="{home}/{app.ruby.gems}${{GEM_PATH:+:$GEM_PATH}}"',
        f'export PATH="{":".join(paths)}:$PATH"',
        "export DISABLE_SPRING=1",
        "export BUNDLE_PATH=${BUNDLE_PATH:-vendor/bundle}",
        "export BUNDLE_BIN=${BUNDLE_BIN:-vendor/bundle/bin}",
        f"export BUNDLE_WITHOUT=${{BUNDLE_WITHOUT:-{shlex.quote(app.env['BUNDLE_WITHOUT'])}}}",
        "export BUNDLE_DEPLOYMENT=${BUNDLE_DEPLOYMENT:-1}",
    ]
    if (app.build_dir / SHARED).is_dir():
        lines.append(f'export LD_LIBRARY_PATH="{home}/{SHARED}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"')
    return lines


def release(pack: Path, default_types: Mapping[str, str], config_vars: Mapping[str, str], addons: list[str]) -> None:
    """Leave what bin/release prints; JSON is YAML."""
    told = {"addons": addons, "config_vars": dict(config_vars), "default_process_types": dict(default_types)}
    (pack / "release.yml").write_text(json.dumps({name: value for name, value in told.items() if value}) + "\n")


def warnings(app: App, default_types: Mapping[str, str]) -> None:
    """What Heroku warns of because it goes wrong later."""
    if not (app.build_dir / "Procfile").is_file():
        if "web" in default_types:
            warning(f"There is no Procfile, so the default web server is used: web: {default_types['web']}")
        else:
            warning("There is no Procfile, and no web server that this buildpack knows: nothing will run.")
    if app.installed("sqlite3"):
        warning("The app uses sqlite3. A dyno's disk is its own and empty again after every restart and deploy:")
        warning("data that has to last belongs into a database service, reached by DATABASE_URL.")
