"""The decisions of the PHP pack: version constraints, extensions, document root, what composer.json says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "buildpacks/php/lib"))

import contextlib

from pack.steps import BuildFailed
from php_pack import composer, constraint, manifest, packages, runtime


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("^8.1", "8.4.28", "9.0.0"),
        ("^8.1", "8.1.0", "8.0.30"),
        ("^0.3.1", "0.3.9", "0.4.0"),
        ("~8.2", "8.9.1", "9.0.0"),
        ("~8.2.4", "8.2.9", "8.3.0"),
        (">=8.2", "9.0.0", "8.1.9"),
        (">= 8.1 <8.4", "8.3.99", "8.4.0"),
        (">=7.4,<8.3", "8.2.1", "8.3.0"),
        ("8.2.*", "8.2.28", "8.3.0"),
        ("*", "8.4.28", ""),
        ("7.4 - 8.2", "8.2.30", "8.3.0"),
        ("8.0.0 - 8.2.5", "8.2.5", "8.2.6"),
        ("^7.4 || ^8.0", "8.4.0", "7.3.0"),
        ("^7.4|~8.4.0", "8.4.1", "8.3.0"),
        (">=8.1@stable", "8.4.1", "8.0.0"),
        ("!=8.4.1", "8.4.2", "8.4.1"),
        ("8.4.1", "8.4.1", "8.4.2"),
    ],
)
def test_constraints(text: str, yes: str, no: str) -> None:
    assert constraint.allows(text, yes)
    assert not no or not constraint.allows(text, no)


@given(st.text(max_size=12))
def test_a_constraint_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(constraint.InvalidConstraint):
        constraint.allows(text, "8.4.28")


def test_extensions_of_the_app_and_of_locked_packages(tmp_path: Path) -> None:
    app = {"require": {"php": "^8.2", "ext-PDO_pgsql": "*", "ext-json": "*"}, "extra": []}
    lock = {"packages": [{"name": "a/b", "require": {"ext-intl": "*", "lib-icu": "*"}}], "platform": []}
    (tmp_path / "composer.json").write_text(json.dumps(app))
    found = manifest.load(tmp_path)
    assert (found.php, found.required, found.packages) == (True, "^8.2", False)
    (tmp_path / "composer.lock").write_text(json.dumps(lock))
    found = manifest.load(tmp_path)
    assert found.packages
    assert found.extensions == {"pdo_pgsql", "json", "intl"}
    assert packages.extensions(found.extensions) == {"php-pgsql", "php-intl"}


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_manifest_that_is_not_valid_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "composer.json").write_text(text)
    with pytest.raises(BuildFailed, match=r"composer\.json is not valid"):
        manifest.load(tmp_path)


def test_the_document_root(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public/index.php").touch()
    assert manifest.load(tmp_path).document_root == "public/"
    (tmp_path / "index.php").touch()
    assert manifest.load(tmp_path).document_root == ""
    (tmp_path / "composer.json").write_text('{"extra": {"pogo": {"document-root": "/public/"}}}')
    assert manifest.load(tmp_path).document_root == "public/"
    (tmp_path / "composer.json").write_text('{"extra": {"heroku": {"document-root": "../.."}}}')
    with pytest.raises(BuildFailed, match=r"extra\.heroku\.document-root"):
        manifest.load(tmp_path)


def test_perl_alone_needs_no_php(tmp_path: Path) -> None:
    (tmp_path / "cgi-bin").mkdir()
    script = tmp_path / "cgi-bin/a.pl"
    script.write_text("#!/usr/bin/perl\nuse strict;\nuse CGI qw(:standard);\n  require DBI;\n# use JSON;\n")
    found = manifest.load(tmp_path)
    assert not found.php
    assert {"libcgi-pm-perl", "libdbd-sqlite3-perl"} <= packages.perl(found.perl)
    assert "libjson-perl" not in packages.perl(found.perl)
    runtime.make_executable(found.perl)
    assert script.stat().st_mode & 0o111 == 0o111


def test_a_committed_vendor_directory_without_a_lock_is_used_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor/autoload.php").touch()
    (tmp_path / "composer.json").write_text('{"require": {"a/b": "*"}}')
    composer.install(tmp_path, manifest.load(tmp_path), tmp_path / "cache", {"PATH": "/nowhere"})
    assert "committed vendor/" in capsys.readouterr().out


def test_the_version_of_php_that_was_installed() -> None:
    assert runtime.php_version(["php-cli 2:8.4+96", "php8.4-cli 8.4.28-1~deb13u1"]) == "8.4.28"
    assert runtime.php_version(["apache2-bin 2.4.71-1"]) == ""


def test_the_nginx_of_herokus_pack_is_noticed(tmp_path: Path) -> None:
    assert not manifest.wrong_server(tmp_path)
    (tmp_path / "Procfile").write_text("web: vendor/bin/heroku-php-nginx public/\n")
    assert manifest.wrong_server(tmp_path)
