"""The one tree of errors.

Each class carries the error id and HTTP status of the Platform API; its docstring is its default
message. A message says what cannot be done, why, and what to do next. `api` maps it to HTTP, once.
"""

from __future__ import annotations

import inspect


class PogoError(Exception):
    """Something went wrong on the platform's side. The operator finds the cause in its log."""

    id = "server_error"
    status = 500

    def __init__(self, message: str | None = None, **extra: object) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "")
        self.extra = extra
        super().__init__(self.message)


class BadRequest(PogoError):
    """The request cannot be understood."""

    id = "bad_request"
    status = 400


class Unauthorized(PogoError):
    """Invalid credentials provided."""

    id = "unauthorized"
    status = 401


class Forbidden(PogoError):
    """You do not have permission to do that."""

    id = "forbidden"
    status = 403


class TwoFactorRequired(Forbidden):
    """Two-factor authentication is on for this account: a code is needed."""

    id = "two_factor"


class NotFound(PogoError):
    """Couldn't find that resource."""

    id = "not_found"
    status = 404

    def __init__(self, resource: str, message: str | None = None) -> None:
        self.resource = resource
        super().__init__(message or f"Couldn't find that {resource}.", resource=resource)


class Conflict(PogoError):
    """The change collides with another one. Try again."""

    id = "conflict"
    status = 409


class RangeNotSatisfiable(PogoError):
    """The Range header cannot be satisfied."""

    id = "requested_range_not_satisfiable"
    status = 416


class InvalidParams(PogoError):
    """A parameter is not valid."""

    id = "invalid_params"
    status = 422


class RateLimited(PogoError):
    """Too many requests. Try again later."""

    id = "rate_limit"
    status = 429

    def __init__(self, message: str, retry_after: float) -> None:
        """retry_after: seconds."""
        self.retry_after = max(1, int(retry_after + 0.999))
        super().__init__(message)


class Unavailable(PogoError):
    """A part of the platform does not answer. Try again in a moment."""

    id = "service_unavailable"
    status = 503


class StorageFull(Unavailable):
    """The platform's disk is full, so nothing was changed. The operator has to free space."""

    id = "storage_full"
    status = 507


class ContainerError(Unavailable):
    """The container cannot be started."""


class CommandFailed(PogoError):
    """A command of the host failed."""

    def __init__(self, args: list[str], returncode: int, stderr: str) -> None:
        self.returncode = returncode
        self.stderr = stderr
        tail = "\n".join(stderr.strip().splitlines()[-12:])
        super().__init__(f"command {' '.join(args)!r} exited with status {returncode}: {tail}")
