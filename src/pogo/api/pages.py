"""The few pages of pogod itself: log in for a client, let a client in, take an invitation, make a passkey.

Plain HTML; the only script is the one for passkeys, which the others work without.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import HTMLResponse

from pogo.errors import InvalidParams

LARGEST = 64 << 10
_SCRIPT = (Path(__file__).parent / "passkeys.js").read_text()
_SCRIPT_HASH = b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
# A form may send a browser on to the redirect_uri of a client, so form-action stays open.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_PAGE = Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 10vh auto; padding: 0 1rem; color: #222 }
label { display: block; margin: .8rem 0 }
input { display: block; width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; border: 1px solid #999 }
button { padding: .5rem 1.2rem; font: inherit; margin: 1rem .5rem 0 0 }
.wrong { color: #a00 }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } .wrong { color: #f88 } }
</style>
<h1>$title</h1>
$body
</html>
"""
)


def _field(label: str, name: str, kind: str, complete: str, more: str = " required") -> str:
    return f'<label>{label} <input name="{name}" type="{kind}" autocomplete="{complete}"{more}></label>'


LOGIN_FIELDS = (
    _field("E-mail", "email", "email", "username", " required autofocus")
    + _field("Password", "password", "password", "current-password")
    + _field("Two-factor code, if you use one", "code", "text", "one-time-code", "")
)
NAME_FIELD = _field("Name", "name", "text", "name", "")
NEW_PASSWORD_FIELDS = _field("Password", "password", "password", "new-password") + _field(
    "The same again", "password_confirmation", "password", "new-password"
)


PASSKEY_NAME_FIELD = _field("What to call it", "name", "text", "off", ' maxlength="100" value="Passkey"')


def page(title: str, text: str, status: int = 200, link: tuple[str, str] | None = None) -> HTMLResponse:
    """text: plain, a paragraph a line. link: what it says, and the path that it leads to."""
    more = f'<p><a href="{escape(link[1])}">{escape(link[0])}</a></p>' if link else ""
    return _response(title, _paragraphs(text) + more, status)


def form(
    title: str,
    text: str,
    fields: str,
    buttons: dict[str, str],
    wrong: str = "",
    status: int = 200,
    passkey: tuple[str, str] | None = None,
) -> HTMLResponse:
    """A form that is sent to the page's own address. buttons: value of the field `go` → what it says.

    passkey: what its button says, and the secret of the page that makes one, "" to log in. It sends the field
    `passkey`.
    """
    complaint = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    shown = "".join(
        f'<button name="go" value="{escape(value)}"{" formnovalidate" if number else ""}>{escape(label)}</button>'
        for number, (value, label) in enumerate(buttons.items())
    )
    if passkey:
        label, page = passkey
        shown = (
            f'<input type="hidden" name="passkey">{shown}'
            f'<button type="button" id="use-passkey" data-page="{escape(page)}" hidden>{escape(label)}</button>'
        )
    body = f'{_paragraphs(text)}{complaint}<form method="post">{fields}{shown}</form>'
    return _response(title, body, status, scripted=bool(passkey))


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in text.splitlines())


def _response(title: str, body: str, status: int, *, scripted: bool = False) -> HTMLResponse:
    headers = dict(HEADERS)
    if scripted:
        body += f"\n<script>{_SCRIPT}</script>"
        headers["Content-Security-Policy"] += f"; script-src 'sha256-{_SCRIPT_HASH}'; connect-src 'self'"
    return HTMLResponse(_PAGE.substitute(title=escape(title), body=body), status, headers)


async def sent(request: Request) -> dict[str, Any]:
    """The fields of a form. Raises InvalidParams."""
    whole = bytearray()
    async for chunk in request.stream():
        whole += chunk
        if len(whole) > LARGEST:
            raise InvalidParams("The form is too large.")
    try:
        return dict(parse_qsl(whole.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        raise InvalidParams("The form is not valid.") from None
