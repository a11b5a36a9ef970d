"""How a command ends when it cannot go on. The texts are for a person at a terminal; the exit status is for scripts."""

from __future__ import annotations

from typing import Any


class CliError(Exception):
    """What cannot be done, why, and what to do next."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        self.message = message
        self.exit_status = exit_status
        super().__init__(message)


class UsageError(CliError):
    """The command line cannot be understood (exit status 2, as the official client)."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}\nSee more help with --help", 2)


class NotLoggedIn(CliError):
    """No token for this platform, or it is no longer valid (exit status 100, as the official client's `whoami`)."""

    def __init__(self, api: str, why: str = "You are not logged in") -> None:
        super().__init__(f"{why} to {api}.\nRun pogo login to log in.", 100)


class ApiError(CliError):
    """The platform's answer was an error: `{"id", "message"[, "url"][, "app": {"name"}][, "resource"]}`."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.id = str(body.get("id", ""))
        self.resource = body.get("resource")
        self.body = body
        details = []
        if self.id:
            details.append(f"Error ID: {self.id}")
        if isinstance(body.get("app"), dict):
            details.append(f"App: {body['app'].get('name', '')}")
        if body.get("url"):
            details.append(f"See {body['url']} for more information.")
        message = str(body.get("message") or f"The platform answered with HTTP status {status}.")
        super().__init__("\n".join([message, "", *details] if details else [message]), 2)
