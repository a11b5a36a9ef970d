"""Apps that change hands."""

from __future__ import annotations

from typing import Literal

from fastapi import Response

from pogo.api import announce
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me
from pogo.api.show import people as show
from pogo.services import access, transfers

router = resource_router()


class NewTransfer(Body):
    """app: name or id. recipient: e-mail or id. Nobody is mailed, so `silent` has no effect."""

    app: str
    recipient: str


class Decision(Body):
    state: Literal["accepted", "declined"]


@router.get("/account/app-transfers")
def index(me: Me) -> Response:
    return listing(me, transfers.list_transfers(me.platform.db, me.user), show.transfer, "id", "created_at")


@router.get("/account/app-transfers/{transfer}")
def info(me: Me, transfer: str) -> Response:
    return answer(show.transfer(transfers.find_transfer(me.platform.db, me.user, transfer)))


@router.post("/account/app-transfers")
def offer(me: Me, body: NewTransfer) -> Response:
    app = access.find_app(me.platform.db, me.user, body.app)
    made = transfers.offer(me.platform.db, me.user, app, body.recipient)
    announce.note(me, app, f"Transfer to {made.recipient.email} {made.state}")
    return answer(show.transfer(made), 201)


@router.patch("/account/app-transfers/{transfer}")
def decide(me: Me, transfer: str, body: Decision) -> Response:
    decided = transfers.decide(me.platform.db, me.user, transfer, body.state)
    announce.note(me, decided.app, f"Transfer to {decided.recipient.email} {decided.state}")
    return answer(show.transfer(decided))


@router.delete("/account/app-transfers/{transfer}")
def withdraw(me: Me, transfer: str) -> Response:
    return answer(show.transfer(transfers.withdraw(me.platform.db, me.user, transfer)))
