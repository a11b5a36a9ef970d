"""The unpacked packages made to run where they lie: settings, extensions and commands at /app/.heroku/php.

The paths in it are those of the running app, so the build reaches it at the same place, through a link.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pack import debs
from pack.steps import BuildFailed

HOME = Path("/app/.heroku/php")
ROOT = HOME / "root"
_HERE = Path(__file__).parent
_PRIORITY = re.compile(r"^;\s*priority\s*=\s*(\d+)", re.M)
_SETTINGS = """; Settings of the platform; php.ini in the app's top directory comes after them.
extension_dir = {extensions}
date.timezone = UTC
error_log =
expose_php = Off
html_errors = Off
session.save_path = /tmp
variables_order = EGPCS
opcache.enable = 1
opcache.memory_consumption = 64
opcache.interned_strings_buffer = 8
opcache.max_accelerated_files = 20000
"""


def link(build_dir: Path) -> Path:
    """Make HOME lead to the tree in the app that is being built; returns that tree's own path."""
    real = build_dir / ".heroku/php"
    real.parent.mkdir(parents=True, exist_ok=True)
    if real != HOME:
        HOME.parent.mkdir(parents=True, exist_ok=True)
        if HOME.is_symlink():
            HOME.unlink()
        HOME.symlink_to(real)
    return real


def php_version(installed: list[str]) -> str:
    """`8.4.28` out of the names and versions of the installed packages; empty without PHP."""
    for name in installed:
        if match := re.match(r"php\d+\.\d+-cli (?:\d+:)?(\d+\.\d+\.\d+)", name):
            return match[1]
    return ""


def prepare(build_dir: Path, home: Path) -> None:
    """Write everything that Debian's maintainer scripts would, for this place. home: the tree's own path."""
    for name in ("bin", "libexec", "etc/conf.d"):
        (home / name).mkdir(parents=True, exist_ok=True)
    libraries = debs.library_path(ROOT)
    _command(home, "heroku-php-apache2", (_HERE / "web.sh").read_text().replace("@libraries@", libraries))
    shutil.copy(_HERE / "apache.conf", home / "etc/apache.conf")
    types = home / "root/etc/mime.types"
    shutil.copy(types if types.is_file() else "/etc/mime.types", home / "etc/mime.types")
    if list(home.glob("root/usr/bin/php[0-9]*")):
        _php(build_dir, home, libraries)
    _profile(build_dir, home)


def _php(build_dir: Path, home: Path, libraries: str) -> None:
    program = next(home.glob("root/usr/bin/php[0-9]*"))
    module = next(home.glob("root/usr/lib/apache2/modules/libphp*.so"))
    (home / "libphp.so").symlink_to(module.relative_to(home))
    extensions = HOME / next(home.glob("root/usr/lib/php/20*")).relative_to(home)
    shutil.copy(next(home.glob("root/usr/lib/php/*/php.ini-production")), home / "etc/php.ini")
    settings = home / "etc/conf.d"
    (settings / "00-platform.ini").write_text(_SETTINGS.format(extensions=extensions))
    for path in (*home.glob("root/usr/share/php*/*/*.ini"), *home.glob("root/etc/php/*/mods-available/*.ini")):
        text = path.read_text()
        found = _PRIORITY.search(text)
        (settings / f"{int(found[1]) if found else 20:02}-{path.name}").write_text(text)
    if (build_dir / "php.ini").is_file():
        (settings / "99-app.ini").symlink_to("../../../../php.ini")
    shutil.copy(_HERE / "start.php", home / "libexec/start.php")
    environment = f'export LD_LIBRARY_PATH="{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"\n'
    environment += f"export PHPRC={HOME}/etc PHP_INI_SCAN_DIR={HOME}/etc/conf.d\n"
    program_path = HOME / program.relative_to(home)
    _command(home, "php", f'#!/bin/sh\n{environment}exec {program_path} "$@"\n')
    if (home / "root/usr/bin/composer").is_file():
        for path in home.glob("root/usr/share/php/**/autoload.php"):
            path.write_text(path.read_text().replace("'/usr/share/php/", f"'{ROOT}/usr/share/php/"))
        options = f"-d include_path=.:{ROOT}/usr/share/php"
        _command(home, "composer", f'#!/bin/sh\nexec {HOME}/bin/php {options} {ROOT}/usr/bin/composer "$@"\n')


def _profile(build_dir: Path, home: Path) -> None:
    """The environment of every process of the app."""
    lines = [f'export PATH="{HOME}/bin:$PATH"']
    if modules := perl_path(home):
        lines.append(f'export PERL5LIB="{modules}${{PERL5LIB:+:$PERL5LIB}}"')
        lines.append(f'export LD_LIBRARY_PATH="{debs.library_path(ROOT)}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"')
    profile = build_dir / ".profile.d/php.sh"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text("\n".join(lines) + "\n")


def perl_path(home: Path) -> str:
    """Directories with Perl modules, as PERL5LIB has to name them."""
    found = [*home.glob("root/usr/lib/*/perl5/*"), *home.glob("root/usr/share/perl5")]
    return ":".join(str(HOME / path.relative_to(home)) for path in found if path.is_dir())


def provide_vendor_commands(build_dir: Path) -> None:
    """vendor/bin/heroku-php-apache2, as Procfiles have it that were written for Heroku's own pack."""
    command = build_dir / "vendor/bin/heroku-php-apache2"
    command.parent.mkdir(parents=True, exist_ok=True)
    if command.is_symlink() or command.exists():
        command.unlink()
    command.symlink_to("../../.heroku/php/bin/heroku-php-apache2")


def make_executable(scripts: tuple[Path, ...]) -> None:
    """CGI scripts have to be; those that were committed on other systems are not."""
    for path in scripts:
        with path.open("rb") as file:
            if file.read(2) == b"#!":
                path.chmod(path.stat().st_mode | 0o755)


def _command(home: Path, name: str, text: str) -> None:
    path = home / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def require(packages: list[str], home: Path, cache: Path, env: dict[str, str], why: str) -> list[str]:
    """Install packages. Raises BuildFailed, which says `why` these packages are wanted."""
    if home.exists():
        shutil.rmtree(home)
    try:
        return debs.install(packages, home / "root", cache, env)
    except BuildFailed as failure:
        if "no package" in str(failure) and why:
            raise BuildFailed(f"{failure}\n{why}") from failure
        raise
