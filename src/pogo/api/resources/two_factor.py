"""Two-factor authentication of the caller's account (ours: Heroku does this on web pages alone)."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me
from pogo.api.resources.account import check_password
from pogo.api.show import people as show
from pogo.services import people, two_factor

router = resource_router()


class Password(Body):
    """password: the present one: a stolen token alone must not change this."""

    password: str


class Code(Body):
    code: str


@router.post("/account/two-factor")
def begin(me: Me, body: Password) -> Response:
    """The secret for an authenticator; a code of it switches two factors on."""
    check_password(me, body.password)
    secret = two_factor.begin(me.platform.db, me.user)
    url = two_factor.address(me.user, secret, f"Pogoapp ({me.platform.settings.api_host})")
    return answer({"secret": secret, "url": url}, 201)


@router.post("/account/two-factor/actions/confirm")
def confirm(me: Me, body: Code) -> Response:
    return answer({"enabled": True, "recovery_codes": two_factor.confirm(me.platform.db, me.user, body.code)})


@router.post("/account/two-factor/actions/renew-recovery-codes")
def renew(me: Me, body: Password) -> Response:
    check_password(me, body.password)
    return answer({"enabled": True, "recovery_codes": two_factor.renew_codes(me.platform.db, me.user)})


@router.post("/account/two-factor/actions/disable")
def disable(me: Me, body: Password) -> Response:
    check_password(me, body.password)
    two_factor.switch_off(me.platform.db, me.user)
    return answer({"enabled": False})


@router.delete("/users/{user}/two-factor")
def forget(me: Me, user: str) -> Response:
    """By the operator, for a person who has lost authenticator and passkeys: both are off, all sessions end."""
    people.require_admin(me.user)
    found = people.find_user(me.platform.db, user)
    return answer(show.account(two_factor.forget(me.platform.db, found)))
