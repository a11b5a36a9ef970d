"""The caller's account; users, for the operator."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me
from pogo.api.show import people as show
from pogo.errors import InvalidParams, NotFound, Unauthorized
from pogo.services import people

router = resource_router()


class AccountChange(Body):
    """password: the present one, needed to set `new_password`."""

    name: str | None = None
    password: str | None = None
    new_password: str | None = None


class NewUser(Body):
    email: str
    password: str | None = None
    name: str | None = None


@router.get("/account")
@router.get("/users/~")
def info(me: Me) -> Response:
    return answer(show.account(me.user))


@router.patch("/account")
@router.patch("/users/~")
def update(me: Me, body: AccountChange) -> Response:
    if body.new_password is not None:
        try:
            people.check_password(me.platform.db, me.user.email, body.password or "")
        except Unauthorized:
            raise InvalidParams("Cannot change the password: the present one (`password`) is wrong.") from None
        people.set_password(me.platform.db, me.user, body.new_password)
    if "name" in body.model_fields_set:
        people.change_user(me.platform.db, me.user.id, name=body.name)
    return answer(show.account(people.find_user(me.platform.db, me.user.id)))


@router.get("/account/rate-limits")
def rate_limits(me: Me) -> Response:
    """Heroku's budget; this platform takes nothing from it."""
    return answer({"remaining": 4500})


@router.get("/users/{user}")
def other(me: Me, user: str) -> Response:
    if user.lower() in (me.user.email, me.user.id):
        return answer(show.account(me.user))
    if not me.user.admin:
        raise NotFound("user")
    return answer(show.account(people.find_user(me.platform.db, user)))


@router.post("/users")
def create(me: Me, body: NewUser) -> Response:
    people.require_admin(me.user)
    user = people.create_user(me.platform.db, body.email, body.password, name=body.name)
    return answer(show.account(user), 201)
