"""Which Debian packages an app needs: Apache, PHP with its extensions, Perl modules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

APACHE = ("apache2-bin", "media-types")
_USUAL = ("cli", "curl", "mbstring", "mysql", "pgsql", "sqlite3", "xml", "zip")
PHP = ("libapache2-mod-php", *(f"php-{name}" for name in _USUAL))
"""What Heroku's PHP has without being asked comes with every app."""

# fmt: off
_INSIDE = {
    "calendar", "core", "ctype", "date", "exif", "ffi", "fileinfo", "filter", "ftp", "gettext", "hash", "iconv",
    "json", "libxml", "openssl", "pcntl", "pcre", "pdo", "phar", "posix", "random", "readline", "reflection",
    "session", "shmop", "sockets", "sodium", "spl", "standard", "sysvmsg", "sysvsem", "sysvshm", "tokenizer",
    "zend-opcache", "opcache", "zlib",
}
# fmt: on
_PACKAGE = {
    **dict.fromkeys(("dom", "simplexml", "xml", "xmlreader", "xmlwriter", "xsl"), "php-xml"),
    **dict.fromkeys(("mysqli", "mysqlnd", "pdo_mysql"), "php-mysql"),
    **dict.fromkeys(("pdo_pgsql", "pgsql"), "php-pgsql"),
    **dict.fromkeys(("pdo_sqlite", "sqlite3"), "php-sqlite3"),
    **dict.fromkeys(("odbc", "pdo_odbc"), "php-odbc"),
    "pdo_dblib": "php-sybase",
    "pdo_firebird": "php-interbase",
}
_PERL = {
    "CGI": ("libcgi-pm-perl",),
    "DBI": ("libdbi-perl", "libdbd-sqlite3-perl", "libdbd-pg-perl", "libdbd-mysql-perl"),
    "Email::MIME": ("libemail-mime-perl",),
    "HTML::Template": ("libhtml-template-perl",),
    "JSON": ("libjson-perl",),
    "JSON::XS": ("libjson-xs-perl",),
    "LWP": ("libwww-perl",),
    "LWP::UserAgent": ("libwww-perl",),
    "Template": ("libtemplate-perl",),
    "Text::CSV": ("libtext-csv-perl",),
    "URI": ("liburi-perl",),
    "XML::LibXML": ("libxml-libxml-perl",),
    "YAML": ("libyaml-perl",),
}
_USE = re.compile(r"^\s*(?:use|require)\s+([A-Z]\w*(?:::\w+)*)", re.M)


def extensions(names: Iterable[str]) -> set[str]:
    """Packages of extensions, given as in composer.json without `ext-`; those inside PHP need none."""
    wanted = {name.lower().replace(" ", "-") for name in names} - _INSIDE
    return {_PACKAGE.get(name, f"php-{name}") for name in wanted}


def perl(scripts: Iterable[Path]) -> set[str]:
    """Packages of the modules that scripts use, as far as they are among the usual ones."""
    found: set[str] = set()
    for path in scripts:
        for name in _USE.findall(path.read_text(errors="replace")):
            found.update(_PERL.get(name, ()))
    return found
