"""The apps of `examples/`, each pushed, opened in its own way, and changed."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from installation import Installation
from small_apps import EXAMPLES
from waiting import eventually
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Message, Request


def in_order(text: str, *parts: str) -> None:
    """Fails unless the parts are in the text, one after the other."""
    position = 0
    for part in parts:
        found = text.find(part, position)
        assert found >= 0, f"{part!r} is missing, or not in its place, in:\n{text}"
        position = found + len(part)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_flask(platform: Installation) -> None:
    work = platform.create(EXAMPLES / "flask", "flask")
    said = platform.push(work)
    url = f"http://flask.localhost:{platform.http_port}/"
    in_order(
        said,
        "remote: -----> Building on the Pogo-13 stack",
        "remote: -----> Determining which buildpack to use for this app",
        "remote: -----> Python app detected",
        "remote: -----> Installing dependencies with pip",
        "remote:        Procfile declares types -> web",
        "remote: -----> Compressing...",
        "remote:        Done: ",
        "remote: -----> Launching...",
        "remote:        Released v2",
        f"remote:        {url} deployed to Pogo",
        "remote: Verifying deploy... done.",
        "main -> main",
    )
    page = platform.get("flask")
    assert page.status == 200
    assert "<h1>flask</h1>" in page.body
    assert "<dd>web.1</dd>" in page.body

    platform.pogo("config:set", "GREETING=good morning", cwd=work)
    eventually(lambda: "<dd>good morning</dd>" in platform.get("flask").body)

    edit(work / "templates" / "index.html", "It is pushed", "It is pushed again")
    platform.commit(work, "another text")
    assert "Released v4" in platform.push(work)
    eventually(lambda: "It is pushed again" in platform.get("flask").body)

    assert "done, now running web at 3:Basic" in platform.pogo("ps:scale", "web=3", cwd=work)
    eventually(lambda: len(set(re.findall(r"^web\.\d: up", platform.pogo("ps", cwd=work), re.M))) == 3)
    answered = {found[1] for _ in range(12) if (found := re.search(r"<dd>(web\.\d)</dd>", platform.get("flask").body))}
    assert answered == {"web.1", "web.2", "web.3"}


def test_django_migrates_before_it_serves(platform: Installation) -> None:
    work = platform.create(EXAMPLES / "django", "django")
    in_order(
        platform.push(work),
        "Python app detected",
        "collectstatic",
        "Procfile declares types -> release, web, worker",
        "Release command declared",
        "Released v2",
        "Running release command...",
        "Applying visits.0001_initial... OK",
        "Verifying deploy... done.",
    )
    eventually(lambda: platform.get("django").status == 200)
    page = platform.get("django")
    assert re.search(r"\d+ visits counted by dyno web\.1", page.body)
    style = re.search(r'href="(/static/site\.[0-9a-f]+\.css)"', page.body)
    assert style and platform.get("django", style[1]).status == 200
    admin = platform.get("django", "/admin/")
    assert admin.status == 302 and admin.headers["location"].endswith("/admin/login/?next=/admin/")
    login = platform.get("django", "/admin/login/")
    assert "Django administration" in login.body
    style = re.search(r'href="(/static/admin/css/base\.[0-9a-f]+\.css)"', login.body)
    assert style and "--primary" in platform.get("django", style[1]).body
    platform.pogo("ps:scale", "worker=1", cwd=work)
    eventually(lambda: "app[worker.1]: worker started" in platform.pogo("logs", "-d", "worker.1", cwd=work))
    platform.pogo("ps:scale", "worker=0", cwd=work)
    eventually(lambda: "app[worker.1]: worker stopping" in platform.pogo("logs", "-d", "worker.1", cwd=work))
    assert "Applying visits.0001_initial... OK" in platform.pogo("releases:output", "v2", cwd=work)

    (work / "visits" / "migrations" / "0002_broken.py").write_text("raise RuntimeError('this migration is broken')\n")
    platform.commit(work, "a migration that fails")
    said = platform.push(work)
    in_order(said, "Running release command...", "RuntimeError: this migration is broken", "Release command failed")
    assert "v2 goes on serving" in said
    assert "release command failed" in platform.pogo("releases", cwd=work)
    assert platform.get("django").status == 200


def hello_through_a_websocket(platform: Installation, app: str, text: str) -> str:
    """What the app answers to one message."""
    client = WSConnection(ConnectionType.CLIENT)
    with socket.create_connection(("127.0.0.1", platform.http_port), timeout=10) as connection:
        connection.sendall(client.send(Request(host=f"{app}.localhost", target="/ws")))
        while True:
            client.receive_data(connection.recv(65536) or None)
            for event in client.events():
                if isinstance(event, AcceptConnection):
                    connection.sendall(client.send(Message(data=text)))
                elif isinstance(event, Message):
                    return str(event.data)
                else:
                    raise AssertionError(event)


def test_express_with_a_websocket_and_a_worker(platform: Installation) -> None:
    work = platform.create(EXAMPLES / "express", "express")
    in_order(
        platform.push(work),
        "Node.js app detected",
        "npm ci",
        "node build.js",
        "Procfile declares types -> web, worker",
        "Released v2",
        "Verifying deploy... done.",
    )
    eventually(lambda: platform.get("express", "/healthz").body == '{"status":"ok","dyno":"web.1"}')
    assert "built with Node.js v24." in platform.get("express", "/client.js").body
    assert hello_through_a_websocket(platform, "express", "good morning") == "web.1: good morning"

    platform.pogo("ps:scale", "worker=1", cwd=work)
    eventually(lambda: "app[worker.1]: worker started" in platform.pogo("logs", "-d", "worker.1", cwd=work))
    platform.pogo("ps:scale", "worker=0", cwd=work)
    eventually(lambda: "heroku[worker.1]: Process exited with status" in platform.pogo("logs", cwd=work))
    assert "app[worker.1]: worker stopping" in platform.pogo("logs", "-p", "worker", cwd=work)


def test_a_static_site(platform: Installation) -> None:
    work = platform.create(EXAMPLES / "static", "pages")
    in_order(platform.push(work), "Static app detected", "Default types for buildpack -> web", "done.")
    eventually(lambda: "<h1>A static site</h1>" in platform.get("pages").body)
    assert "<h1>About</h1>" in platform.get("pages", "/about").body
    missing = platform.get("pages", "/nowhere")
    assert missing.status == 404 and "<h1>Not found</h1>" in missing.body
    home = platform.get("pages", "/home")
    assert home.status == 302 and home.headers["location"].endswith("/")
    assert platform.get("pages", "/assets/site.css").headers["cache-control"] == "public, max-age=3600"
    edit(work / "public" / "index.html", "A static site</h1>", "Another site</h1>")
    platform.commit(work, "another title")
    platform.push(work)
    eventually(lambda: "<h1>Another site</h1>" in platform.get("pages").body)


def test_a_procfile_and_nothing_else(platform: Installation) -> None:
    work = platform.create(EXAMPLES / "procfile", "plain")
    in_order(platform.push(work), "Procfile app detected", "Procfile declares types -> web", "Released v2", "done.")
    assert platform.get("plain", "/x?y=1").body == "Hello from web.1: /x?y=1\n"
    edit(work / "server.py", "Hello from", "Greetings from")
    platform.commit(work, "kinder")
    platform.push(work)
    eventually(lambda: platform.get("plain").body == "Greetings from web.1: /\n")
