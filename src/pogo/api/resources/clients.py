"""OAuth clients of the caller: programs that ask users for tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from pydantic import Field

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me
from pogo.api.show import people as show
from pogo.services import oauth

router = resource_router()
Name = Annotated[str, Field(min_length=1, max_length=200)]


class NewClient(Body):
    name: Name
    redirect_uri: str


class ClientChange(Body):
    name: Name | None = None
    redirect_uri: str | None = None


@router.get("/oauth/clients")
def index(me: Me) -> Response:
    return listing(me, oauth.list_clients(me.platform.db, me.user), show.client, "id", "name")


@router.get("/oauth/clients/{client}")
def info(me: Me, client: str) -> Response:
    return answer(show.client(oauth.find_client(me.platform.db, me.user, client)))


@router.post("/oauth/clients")
def create(me: Me, body: NewClient) -> Response:
    uri = oauth.checked_redirect(body.redirect_uri)
    return answer(show.client(oauth.create_client(me.platform.db, me.user, body.name, uri)), 201)


@router.patch("/oauth/clients/{client}")
def update(me: Me, client: str, body: ClientChange) -> Response:
    uri = oauth.checked_redirect(body.redirect_uri) if body.redirect_uri else None
    return answer(show.client(oauth.update_client(me.platform.db, me.user, client, body.name, uri)))


@router.post("/oauth/clients/{client}/actions/rotate-credentials")
def rotate(me: Me, client: str) -> Response:
    return answer(show.client(oauth.rotate_secret(me.platform.db, me.user, client)))


@router.delete("/oauth/clients/{client}")
def remove(me: Me, client: str) -> Response:
    return answer(show.client(oauth.delete_client(me.platform.db, me.user, client)))
