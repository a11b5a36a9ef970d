"""SSH keys of the caller."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me
from pogo.api.show import people as show
from pogo.services import keys

router = resource_router()


class NewKey(Body):
    public_key: str


@router.get("/account/keys")
def index(me: Me) -> Response:
    return listing(me, keys.list_keys(me.platform.db, me.user), show.key, "id", "created_at")


@router.get("/account/keys/{key}")
def info(me: Me, key: str) -> Response:
    return answer(show.key(keys.find_key(me.platform.db, me.user, key)))


@router.post("/account/keys")
def add(me: Me, body: NewKey) -> Response:
    return answer(show.key(keys.add_key(me.platform.db, me.user, body.public_key)), 201)


@router.delete("/account/keys/{key}")
def remove(me: Me, key: str) -> Response:
    return answer(show.key(keys.remove_key(me.platform.db, me.user, key)))
