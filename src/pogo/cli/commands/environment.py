"""env: the variables that point the official client, and its git, at this platform."""

from __future__ import annotations

import json
import os
import shlex
from urllib.parse import urlsplit

from pogo.cli import output
from pogo.cli.context import Context
from pogo.cli.platforms import Platform


def show(context: Context) -> None:
    for key, value in variables(context.platform, with_token=not context.on("no-token")).items():
        output.line(f"export {key}={shlex.quote(value)}")


def variables(platform: Platform, with_token: bool = True) -> dict[str, str]:
    """The official client's settings for this platform, in the order to print them.

    It sends its token only to a host named exactly `localhost` or `127.0.0.1`; any other host passes its check with
    `localhost@` in front, and then gets the token through HEROKU_HEADERS.
    """
    parts = urlsplit(platform.api)
    local = is_local(platform)
    found = {
        "HEROKU_HOST": platform.api if local else f"{parts.scheme}://localhost@{parts.netloc}",
        "HEROKU_PARTICLEBOARD_URL": platform.api,
        "HEROKU_DATA_HOST": parts.hostname or "",
        "HEROKU_LOGIN_HOST": platform.api,
        "HEROKU_BUILDPACK_REGISTRY_URL": platform.api,
        "HEROKU_STATUS_HOST": platform.api,
        "HEROKU_GIT_HOST": platform.git,
        "HEROKU_EXEC_URL": f"https://{platform.git}/",
        "DISABLE_TELEMETRY": "true",
        "HEROKU_SKIP_NEW_VERSION_CHECK": "true",
        "HEROKU_DISABLE_AUTOUPDATE": "true",
        "HEROKU_NETRC_WRITE": "true",
    }
    if with_token and platform.token:
        found["HEROKU_API_KEY"] = platform.token
        if not local:
            found["HEROKU_HEADERS"] = json.dumps({"authorization": f"Bearer {platform.token}"})
    if platform.ca:
        found["NODE_EXTRA_CA_CERTS"] = platform.ca
        found |= _git_trust(f"http.{platform.git_url}.sslCAInfo", platform.ca)
    return found


def is_local(platform: Platform) -> bool:
    """Whether the official client takes the platform's address, and sends its token there, as it is."""
    return urlsplit(platform.api).hostname in ("localhost", "127.0.0.1")


def _git_trust(key: str, ca: str) -> dict[str, str]:
    """One more git setting through the environment, for this host alone.

    GIT_SSL_CAINFO would replace the CAs of every host, and a push to any other one would fail in that shell.
    """
    count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    numbers = (number for number in range(count) if os.environ.get(f"GIT_CONFIG_KEY_{number}") == key)
    number = next(numbers, count)
    return {
        "GIT_CONFIG_COUNT": str(max(count, number + 1)),
        f"GIT_CONFIG_KEY_{number}": key,
        f"GIT_CONFIG_VALUE_{number}": ca,
    }
