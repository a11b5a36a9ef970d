"""Request bodies: JSON objects of strict types; unknown fields are ignored, `null` is as good as absent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

LARGEST = 2 << 20
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")

_TYPES = {
    "string": "a string",
    "bool": "a boolean",
    "int": "an integer",
    "dict": "an object",
    "model": "an object",
    "list": "an array",
}


class Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _JsonRequest(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_whole"):
            whole = bytearray()
            async for chunk in self.stream():
                whole += chunk
                if len(whole) > LARGEST:
                    raise HTTPException(413, f"The body of the request is larger than {LARGEST >> 20} MB.")
            self._whole = bytes(whole)
        return self._whole

    async def json(self) -> Any:
        """JSON as Unicode text: an escaped half of a surrogate pair can be neither stored nor sent again."""
        value = await super().json()
        if _HALF_PAIR.search(await self.body()):
            json.dumps(value, ensure_ascii=False).encode()
        return value


class _JsonRoute(APIRoute):
    """Takes a body for JSON whatever its Content-Type says: clients in the wild send none, or curl's default."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            others = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
            scope = dict(request.scope, headers=[*others, (b"content-type", b"application/json")])
            return await handle(_JsonRequest(scope, request.receive))

        return handle_json


def resource_router() -> APIRouter:
    """A router for endpoints that take and give JSON."""
    return APIRouter(route_class=_JsonRoute)


def explain(errors: Sequence[Mapping[str, Any]]) -> str:
    """One sentence for the first thing that is wrong with a body: Invalid request: `name` must be a string."""
    error = errors[0]
    field = ""
    for part in error["loc"][1:]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    subject = f"`{field}`" if field else f"the {error['loc'][0]}"
    kind = str(error["type"])
    if kind == "missing":
        return f"Invalid request: {subject} is required"
    wanted = _TYPES.get(kind.partition("_")[0]) if kind.endswith(("_type", "_parsing")) else None
    text = f"must be {wanted}" if wanted else str(error["msg"]).removeprefix("Input ")
    return f"Invalid request: {subject} {text}"


def refuse(text: str) -> PydanticCustomError:
    """For validators: what a field `must be …`."""
    return PydanticCustomError("refused", text)


def number_as_text(value: Any) -> Any:
    """For a field that takes a number or its text, such as a quantity `3` or `"+1"`."""
    if isinstance(value, bool) or not isinstance(value, int | str | None):
        raise refuse("must be a number, or a string such as +1")
    return str(value) if isinstance(value, int) else value


def name_of(value: Any) -> Any:
    """For a field that takes a name, or an object with `name` or `id`, such as a dyno size."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("id")
    if not isinstance(value, str | None):
        raise refuse("must be a name, or an object with a name")
    return value
