"""Who has access, and who one is."""

from __future__ import annotations

from pogo.cli.parser import Arg, Command, Flag
from pogo.cli.table.flags import APP, JSON

COMMANDS = (
    Command("access", "access:show", "who has access to an app", (), (*APP, JSON)),
    Command("access:add", "access:add", "give a person access to an app", (Arg("email", True),), APP),
    Command("access:remove", "access:remove", "take a person's access away", (), APP, strict=False),
    Command(
        "auth:login",
        "auth:login",
        "log in with e-mail and password",
        (),
        (
            Flag("expires-in", "e", "seconds until the token expires (30 days)", option=True, integer=True),
            Flag("interactive", "i", "ask for e-mail and password (always so here)"),
            Flag("host", help="address of the platform, as https://host:port (pogo only)", option=True),
        ),
        ("login",),
    ),
    Command("auth:logout", "auth:logout", "forget the login and revoke its token", aliases=("logout",)),
    Command("auth:token", "auth:token", "print the token in use"),
    Command("auth:whoami", "auth:whoami", "print who you are", aliases=("whoami",)),
)
