"""What endpoints answer with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar

from fastapi.responses import JSONResponse

from pogo.api import paging
from pogo.api.caller import Caller
from pogo.errors import PogoError

T = TypeVar("T")


def answer(value: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(value, status)


def listing(me: Caller, rows: Sequence[T], show: Callable[[T], dict[str, Any]], *by: str) -> JSONResponse:
    """A list, or the page of it that the Range header asks for.

    by: attributes that it can be ordered by (unique ones; the first is the default; `row.type` is the
    field `type`); without any, the order of `rows` is kept as it is, and pages go by the ids that are shown.
    """
    if not by:
        found = paging.in_order([show(row) for row in rows], me.range)
        return JSONResponse(found.items, 206 if found.partial else 200, found.headers)
    fields = [name.rpartition(".")[2] for name in by]
    wanted = paging.parse(me.range, fields)
    value = attrgetter(by[fields.index(wanted.field)])

    def key(row: T) -> paging.Key:
        found: Any = value(row)
        return found.isoformat() if isinstance(found, datetime) else found

    page = paging.page(rows, wanted, fields, key)
    return JSONResponse([show(row) for row in page.items], 206 if page.partial else 200, page.headers)


def error(failure: PogoError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    body = {"id": failure.id, "message": failure.message, **failure.extra}
    return JSONResponse(body, failure.status, headers)
