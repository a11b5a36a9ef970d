"""The caller's account; users, for the operator."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Response
from pydantic import Field

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me
from pogo.api.show import people as show
from pogo.errors import InvalidParams, NotFound
from pogo.model import User
from pogo.services import audit, logins, people

router = resource_router()


class AccountChange(Body):
    """password: the present one, needed to set `new_password`."""

    name: Annotated[str | None, Field(max_length=200)] = None
    password: str | None = None
    new_password: str | None = None


class NewUser(Body):
    email: str
    password: str | None = None
    name: Annotated[str | None, Field(max_length=200)] = None


@router.get("/account")
@router.get("/users/~")
def info(me: Me) -> Response:
    return answer(show.account(me.user))


@router.patch("/account")
@router.patch("/users/~")
def update(me: Me, body: AccountChange) -> Response:
    db = me.platform.db
    if body.new_password is not None:
        check_password(me, body.password)
        people.set_password(db, me.user, body.new_password, me.authorization.id if me.authorization else None)
    if "name" in body.model_fields_set:
        people.change_user(db, me.user.id, name=body.name)
    return answer(show.account(people.find_user(db, me.user.id)))


def check_password(me: Caller, password: str | None) -> None:
    """For what a stolen token alone must not do. Raises InvalidParams, RateLimited."""
    who = audit.actor()
    if not logins.confirm(me.platform.db, me.user, password or "", who.ip if who else ""):
        raise InvalidParams("The present password (`password`) is wrong.")


@router.delete("/account")
@router.delete("/users/~")
def leave(me: Me) -> Response:
    shown = show.account(me.user)
    people.remove_user(me.platform.db, me.user)
    return answer(shown)


@router.get("/account/rate-limits")
def rate_limits(me: Me) -> Response:
    """Where the operator has set no limit, Heroku's number."""
    an_hour = me.platform.settings.api_rate
    return answer({"remaining": me.platform.budgets.left(me.user.id, an_hour).remaining if an_hour else 4500})


@router.get("/account/delinquency")
def delinquency(me: Me) -> Response:
    """Nobody owes anything here."""
    return answer({"scheduled_suspension_time": None, "scheduled_deletion_time": None})


@router.get("/account/credits")
@router.get("/account/invoices")
def nothing_to_pay(me: Me) -> Response:
    return answer([])


@router.get("/users/{user}/sms-number")
def sms_number(me: Me, user: str) -> Response:
    """Nobody has one: codes come from an authenticator."""
    _myself(me, user)
    return answer({"sms_number": None})


@router.get("/users/{user}/preferences")
def preferences(me: Me, user: str) -> Response:
    return answer(show.preferences(_myself(me, user)))


@router.patch("/users/{user}/preferences")
def change_preferences(me: Me, user: str, given: dict[str, Any]) -> Response:
    """Those that Heroku's schema names; others are ignored."""
    known = {name: value for name, value in given.items() if name in show.PREFERENCES}
    for name, value in known.items():
        if value is not None and not isinstance(value, show.PREFERENCES[name]):
            raise InvalidParams(f"Invalid request: `{name}` is of the wrong type")
    if len(str(known)) > 4000:
        raise InvalidParams("Invalid request: the preferences are too long")
    myself = _myself(me, user)
    return answer(show.preferences(people.change_user(me.platform.db, myself.id, preferences=known)))


def _myself(me: Caller, user: str) -> User:
    if user != "~" and user.lower() not in (me.user.email, me.user.id):
        raise NotFound("user")
    return me.user


@router.get("/users")
def index(me: Me) -> Response:
    people.require_admin(me.user)
    return listing(me, people.list_users(me.platform.db), show.account, "email", "id")


@router.get("/users/{user}")
def other(me: Me, user: str) -> Response:
    if user.lower() in (me.user.email, me.user.id):
        return answer(show.account(me.user))
    if not me.user.admin:
        raise NotFound("user")
    return answer(show.account(people.find_user(me.platform.db, user)))


@router.patch("/users/{user}")
def update_by_id(me: Me, user: str, body: AccountChange) -> Response:
    _myself(me, user)
    return update(me, body)


@router.delete("/users/{user}")
def remove(me: Me, user: str) -> Response:
    """By the operator, or oneself."""
    if user.lower() not in (me.user.email, me.user.id):
        people.require_admin(me.user)
    found = people.find_user(me.platform.db, user)
    shown = show.account(found)
    people.remove_user(me.platform.db, found)
    return answer(shown)


@router.post("/users")
def create(me: Me, body: NewUser) -> Response:
    people.require_admin(me.user)
    user = people.create_user(me.platform.db, body.email, body.password, name=body.name)
    return answer(show.account(user), 201)
