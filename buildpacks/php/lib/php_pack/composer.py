"""Composer: what composer.json and composer.lock ask for goes to vendor/."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pack.steps import BuildFailed, run, topic, warning

from php_pack.manifest import Manifest
from php_pack.runtime import HOME

CACHE_LIMIT = 300 << 20
_OUT_OF_REACH = (
    b"curl error",
    b"could not be fully loaded",
    b"Could not resolve host",
    b"Failed to download",
    b"timed out",
)


def install(build_dir: Path, manifest: Manifest, cache: Path, env: Mapping[str, str]) -> None:
    """`composer install` of a release. Raises BuildFailed after Composer has printed its reason."""
    if not manifest.packages:
        return
    if not (build_dir / "composer.lock").is_file():
        if (build_dir / "vendor/autoload.php").is_file():
            topic("Using the committed vendor/ as it is, since there is no composer.lock")
            return
        warning("There is no composer.lock: the newest packages that composer.json allows are installed.")
        warning("Commit the one that 'composer update' writes, so that every build has the same.")
    downloads = cache / "composer"
    if downloads.is_dir() and _size(downloads) > CACHE_LIMIT:
        shutil.rmtree(downloads)
    environment = {
        "COMPOSER_MEMORY_LIMIT": "-1",
        **env,
        "COMPOSER_CACHE_DIR": str(downloads),
        "COMPOSER_HOME": str(cache / "composer-home"),
        "COMPOSER_NO_INTERACTION": "1",
        "PATH": f"{HOME}/bin:{env['PATH']}",
    }
    own = build_dir / "composer.phar"
    composer = [HOME / "bin/php", own] if own.is_file() else [HOME / "bin/composer"]
    options = ["--no-dev", "--prefer-dist", "--optimize-autoloader", "--no-progress"]
    topic(f"Installing dependencies with Composer: composer install {' '.join(options)}")
    printed: list[bytes] = []
    if run([*composer, "install", *options], build_dir, environment, printed):
        said = b"".join(printed)
        if b"packagist" in said and any(text in said for text in _OUT_OF_REACH):
            raise BuildFailed(
                "Packagist (repo.packagist.org) cannot be reached from this platform's builds, or does not answer.\n"
                "Either commit vendor/ with what 'composer install --no-dev' puts there and the composer.lock,\n"
                "or name a Composer repository that can be reached under 'repositories' of composer.json; push again."
            )
        raise BuildFailed("Composer could not install the dependencies; its reason is above.")
    if "compile" in manifest.scripts:
        topic("Running the script compile: composer compile")
        if run([*composer, "run-script", "compile", "--no-dev"], build_dir, environment):
            raise BuildFailed("The script 'compile' of composer.json failed; its reason is above.")


def _size(directory: Path) -> int:
    return sum(Path(where, name).lstat().st_size for where, _, names in os.walk(directory) for name in names)
