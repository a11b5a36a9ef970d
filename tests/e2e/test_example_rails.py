"""The Rails and the Sinatra example: pushed, opened, scaled, as a person would."""

from __future__ import annotations

import re
import urllib.parse

from installation import Installation
from small_apps import EXAMPLES
from test_examples import edit, hello_through_a_websocket, in_order
from waiting import eventually


def test_rails_compiles_assets_migrates_and_keeps_sessions(platform: Installation) -> None:
    work = platform.create(EXAMPLES / "rails", "guestbook")
    in_order(
        platform.push(work),
        "Ruby app detected",
        "Using Ruby version: ruby-3.",
        "Installing dependencies using bundler",
        "Preparing app for Rails asset pipeline",
        "Running: rake assets:precompile",
        "Asset precompilation completed",
        "The app uses sqlite3.",
        "Procfile declares types     -> release, web, worker",
        "Default types for buildpack -> console, rake",
        "Running release command...",
        "CreateEntries: migrated",
        "Verifying deploy... done.",
    )
    eventually(lambda: platform.get("guestbook").status == 200, seconds=60)
    page = platform.get("guestbook")
    assert "Served by dyno web.1, Rails 7.2." in page.body
    style = re.search(r'href="(/assets/application-[0-9a-f]+\.css)"', page.body)
    assert style
    sheet = platform.get("guestbook", style[1])
    assert "body .error{color:#b3261e}" in sheet.body
    assert sheet.headers["cache-control"] == "public, max-age=31536000"

    token = re.search(r'name="authenticity_token" value="([^"]+)"', page.body)
    assert token
    form = urllib.parse.urlencode({"authenticity_token": token[1], "entry[name]": "Ada", "entry[text]": "good morning"})
    cookie = page.headers["set-cookie"].partition(";")[0]
    kind = "application/x-www-form-urlencoded"
    signed = platform.get("guestbook", "/entries", "POST", {"Cookie": cookie, "Content-Type": kind}, form)
    assert signed.status == 302, signed.body
    assert "<b>Ada</b>: good morning" in platform.get("guestbook").body

    platform.pogo("ps:scale", "worker=1", cwd=work)
    eventually(lambda: "app[worker.1]: worker started: worker.1" in platform.pogo("logs", "-d", "worker.1", cwd=work))
    platform.pogo("ps:scale", "worker=0", cwd=work)

    edit(work / "app/views/entries/index.html.erb", "<h1>Guest book", "<h1>Our guest book")
    platform.commit(work, "another title")
    in_order(platform.push(work), "Using the gems of the last build", "Verifying deploy... done.")
    eventually(lambda: "<h1>Our guest book</h1>" in platform.get("guestbook").body, seconds=60)
    assert "<b>Ada</b>" not in platform.get("guestbook").body  # a new dyno, a new disk: as its README says
    later = platform.get("guestbook", headers={"Cookie": cookie})
    again = re.search(r'name="authenticity_token" value="([^"]+)"', later.body)
    assert again
    form = urllib.parse.urlencode({"authenticity_token": again[1], "entry[name]": "Ada", "entry[text]": "again"})
    signed = platform.get("guestbook", "/entries", "POST", {"Cookie": cookie, "Content-Type": kind}, form)
    assert signed.status == 302, "the session of the first release is not known to the second"


def test_sinatra_with_a_websocket(platform: Installation) -> None:
    work = platform.create(EXAMPLES / "sinatra", "sinatra")
    in_order(platform.push(work), "Ruby app detected", "Procfile declares types     -> web", "done.")
    eventually(lambda: platform.get("sinatra", "/healthz").body == '{"status":"ok","dyno":"web.1"}')
    assert "Served by dyno web.1, Ruby 3." in platform.get("sinatra").body
    assert hello_through_a_websocket(platform, "sinatra", "good morning") == "web.1: good morning"
