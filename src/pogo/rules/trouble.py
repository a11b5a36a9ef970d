"""What Heroku says of dynos that do not start or do not end in time."""

from __future__ import annotations

SIGTERM = "Stopping all processes with SIGTERM"


def boot_timeout(limit: float, silent: str = "") -> list[str]:
    """limit: seconds. silent: what was wrong with the last answer, where a path is asked and not only the port."""
    what = f"answer the readiness check ({silent})" if silent else "bind to $PORT"
    return [
        f"Error R10 (Boot timeout) -> Web process failed to {what} within {limit:g} seconds of launch",
        "Stopping process with SIGKILL",
    ]


def exit_timeout(grace: float) -> list[str]:
    """grace: seconds."""
    return [
        f"Error R12 (Exit timeout) -> At least one process failed to exit within {grace:g} seconds of SIGTERM",
        "Stopping remaining processes with SIGKILL",
    ]
