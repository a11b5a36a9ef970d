"""The examples in PHP with Perl, Go and Java: through git push and HTTP, and what they are refused for."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from installation import Installation
from test_examples import in_order
from waiting import eventually

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_php_and_perl_the_lamp_way(platform: Installation) -> None:
    work = platform.create(EXAMPLES / "lamp", "lamp")
    in_order(
        platform.push(work),
        "PHP app detected",
        "Installing Apache, PHP, Perl modules",
        "PHP 8.",
        "Default types for buildpack -> web",
        "Verifying deploy... done.",
    )
    eventually(lambda: platform.get("lamp").status == 200)
    home = platform.get("lamp", headers={"X-Forwarded-For": "203.0.113.9"})
    assert "in web.1." in home.body
    assert "You are 127.0.0.1." in home.body, "what the client says of itself does not count"
    for path in ("/search.php?query=test", "/search/test"):
        found = platform.get("lamp", path)
        assert "<h1>2 found for “test”</h1>" in found.body
        assert found.headers["x-content-type-options"] == "nosniff"
    assert "&lt;b&gt;" in platform.get("lamp", "/search.php?query=%3Cb%3E").body
    assert "<h1>Hello, Ann, from Perl v5." in platform.get("lamp", "/cgi-bin/hello.pl?name=Ann").body
    assert platform.get("lamp", "/site.css").headers["cache-control"] == "max-age=3600"
    for path in ("/books.csv", "/composer.json", "/.user.ini", "/.heroku/php/etc/php.ini", "/inc/database.inc"):
        assert platform.get("lamp", path).status == 403, path
    assert platform.get("lamp", "/nothing").status == 404

    page = work / "index.php"
    page.write_text(page.read_text().replace("<h1>Books</h1>", "<h1>More books, <?= ini_get('memory_limit') ?></h1>"))
    platform.commit(work, "another title")
    said = platform.push(work)
    assert "to fetch" not in said, "the packages of the first build are used"
    eventually(lambda: "<h1>More books, 64M</h1>" in platform.get("lamp").body)

    (work / "composer.json").write_text('{"require": {"php": "^7.4"}}')
    platform.commit(work, "an old PHP")
    in_order(platform.push(work, check=False), "composer.json requires php ^7.4; this stack has PHP 8.", "Push failed")
    assert "<h1>More books" in platform.get("lamp").body


def test_go(platform: Installation) -> None:
    work = platform.create(EXAMPLES / "go", "gopher")
    platform.pogo("config:set", "GO_LINKER_SYMBOL=main.release", "GO_LINKER_VALUE=the first", cwd=work)
    in_order(
        platform.push(work),
        "Go app detected",
        "Installing Go 1.24.",
        "Building: go install",
        "Installed: bin/hello",
        "Default types for buildpack -> web",
        "Verifying deploy... done.",
    )
    eventually(lambda: platform.get("gopher", "/healthz").status == 200)
    answer = platform.get("gopher").body
    assert re.search(r'"dyno":"web\.1","go":"go1\.24\.\d+","release":"the first"', answer)

    with ThreadPoolExecutor(1) as pool:  # a request that has begun ends well although its dyno stops
        slow = pool.submit(platform.get, "gopher", "/slow")
        eventually(lambda: "web.1" in platform.pogo("ps", cwd=work))
        platform.pogo("ps:restart", cwd=work)
        assert slow.result(30).body == '{"status":"slow but complete"}\n'

    (work / "go.mod").write_text("module example.com/hello\n\ngo 1.24\n\nrequire example.com/other v1.0.0\n")
    digest = "A" * 43 + "="
    (work / "go.sum").write_text(f"example.com/other v1.0.0 h1:{digest}\nexample.com/other v1.0.0/go.mod h1:{digest}\n")
    (work / "other.go").write_text('package main\n\nimport _ "example.com/other"\n')
    platform.commit(work, "a module from elsewhere")
    platform.pogo("config:set", "GOPROXY=https://127.0.0.1:9", cwd=work)
    said = platform.push(work, check=False)
    in_order(said, "Using Go 1.24.", "Modules cannot be fetched from 127.0.0.1", "go mod vendor", "Push failed")


def test_java(platform: Installation) -> None:
    work = platform.create(EXAMPLES / "java", "duke")
    in_order(
        platform.push(work),
        "Java app detected",
        "Installing OpenJDK 21",
        "Compiling 2 Java files",
        "Default types for buildpack -> web",
        "Verifying deploy... done.",
    )
    eventually(lambda: platform.get("duke", "/healthz").status == 200)
    assert platform.get("duke").body == "Hello from web.1, Java 21, heap of 300 MB\n"
