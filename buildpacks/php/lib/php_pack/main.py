"""The steps of a build, in order."""

from __future__ import annotations

import os
from pathlib import Path

from pack.steps import BuildFailed, config_vars, detail, exit_status, topic

from php_pack import composer, constraint, manifest, packages, runtime


def run(build_dir: Path, cache_dir: Path, env_dir: Path) -> int:
    """Returns the exit status of bin/compile."""
    return exit_status(lambda: _compile(build_dir.resolve(), cache_dir / "pogo-php", env_dir))


def _compile(build_dir: Path, cache: Path, env_dir: Path) -> None:
    found = manifest.load(build_dir)
    if manifest.wrong_server(build_dir):
        raise BuildFailed(
            "The Procfile starts heroku-php-nginx, which this buildpack does not have: here Apache runs PHP itself.\n"
            "Write heroku-php-apache2 in its place, with what nginx was told in an .htaccess file, and push again."
        )
    env = {**os.environ, **config_vars(env_dir, "PHPRC", "PHP_INI_SCAN_DIR", "PERL5LIB")}
    home = runtime.link(build_dir)
    wanted = {*packages.APACHE, *packages.perl(found.perl)}
    if found.php:
        wanted |= {*packages.PHP, *packages.extensions(found.extensions)}
        if found.packages and not (build_dir / "composer.phar").is_file():
            wanted.add("composer")
    topic(f"Installing Apache{', PHP' * found.php}{', Perl modules' * bool(packages.perl(found.perl))}")
    extensions = ", ".join(f"ext-{name}" for name in sorted(found.extensions))
    why = extensions and f"Extensions that composer.json and composer.lock require: {extensions}."
    installed = runtime.require(sorted(wanted), home, cache / "debs", env, why)
    version = runtime.php_version(installed)
    _check(found.required, version)
    runtime.prepare(build_dir, home)
    if version:
        detail(f"PHP {version}, {_apache(installed)}")
        composer.install(build_dir, found, cache, env)
    else:
        detail(_apache(installed))
    runtime.provide_vendor_commands(build_dir)
    runtime.make_executable(found.perl)
    export = Path(__file__).parents[2] / "export"
    export.write_text((build_dir / ".profile.d/php.sh").read_text())


def _apache(installed: list[str]) -> str:
    versions = [name.partition(" ")[2] for name in installed if name.startswith("apache2-bin ")]
    return f"Apache {versions[0].partition('-')[0]}" if versions else "Apache of the stack"


def _check(required: str, version: str) -> None:
    """Raises BuildFailed where the app needs another PHP than the stack has."""
    if not required or not version:
        return
    try:
        allowed = constraint.allows(required, version)
    except constraint.InvalidConstraint as error:
        raise BuildFailed(f"composer.json requires php {required!r}, which is no version constraint: {error}") from None
    if not allowed:
        raise BuildFailed(
            f"composer.json requires php {required}; this stack has PHP {version}.\n"
            "Let 'require.php' of composer.json allow it, or choose a stack with another PHP\n"
            "(pogo-13 has 8.4, pogo-12 has 8.2), and push again."
        )
