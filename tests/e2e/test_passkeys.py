"""Passkeys in a real browser, through the router: made on the page that pogo names, and good for `heroku login`."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

from chromium import chromium
from installation import Installation

PASSWORD = "battery staple"


def call(platform: Installation, path: str, body: Any = None, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://localhost:{platform.http_port}{path}", data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_a_passkey_in_chromium(platform: Installation) -> None:
    invited = re.findall(r"^https?://\S+", platform.pogo("admin:invite", "kay@example.com"), re.M)[0]
    base = f"http://localhost:{platform.http_port}"
    with chromium() as browser:
        device = browser.device()
        browser.open(invited)
        browser.run(
            f"for (const one of document.querySelectorAll('[type=password]')) one.value = '{PASSWORD}';"
            "document.querySelector('button').click()"
        )
        assert "You are kay@example.com" in browser.shows("Done")
        begun = call(platform, "/auth", {"description": "laptop"})
        browser.open(base + begun["browser_url"])
        browser.run(
            "document.forms[0].email.value = 'kay@example.com';"
            f"document.forms[0].password.value = '{PASSWORD}'; document.querySelector('button').click()"
        )
        browser.shows("Logged in")
        browser.run("document.querySelector('a').click()")
        assert "For kay@example.com" in browser.shows('data-page="')
        browser.run("document.forms[0].name.value = 'Laptop'; document.getElementById('use-passkey').click()")
        assert "Laptop is a passkey of kay@example.com now" in browser.shows("Done")
        (credential,) = browser.do("WebAuthn.getCredentials", authenticatorId=device)["credentials"]
        assert (credential["rpId"], credential["isResidentCredential"]) == ("localhost", True)

        begun = call(platform, "/auth", {"description": "another day"})
        browser.open(base + begun["browser_url"])
        browser.run("document.getElementById('use-passkey').click()")
        assert "You are kay@example.com" in browser.shows("Logged in")
        token = call(platform, begun["cli_url"], token=begun["token"])["access_token"]
        assert call(platform, "/account", token=token)["email"] == "kay@example.com"

        browser.do("WebAuthn.setUserVerified", authenticatorId=device, isUserVerified=False)
        browser.open(base + call(platform, "/auth", {})["browser_url"])
        browser.run("document.getElementById('use-passkey').click()")
        assert "It was cancelled" in browser.shows('class="wrong"')
    environment = {"POGO_API_KEY": token}
    assert "Laptop" in platform.run("pogo", "passkeys", env=environment)
    assert "Removed the passkey Laptop" in platform.run("pogo", "passkeys:remove", "Laptop", env=environment)
    assert "still owns" not in platform.pogo("admin:users:remove", "kay@example.com")
