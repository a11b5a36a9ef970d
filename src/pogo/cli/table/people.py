"""Who has access, and who one is."""

from __future__ import annotations

from pogo.cli.parser import Arg, Command, Flag
from pogo.cli.table.flags import ANY_APP, APP, JSON, JSON_J

ID = Arg("id", True)
EMAIL = Arg("email", True)
APP_NAME = Arg("app", True)
CLIENT_SHELL = Flag("shell", "s", "as settings of a shell")

COMMANDS = (
    Command("access", "access:show", "who has access to an app", (), (*APP, JSON)),
    Command(
        "access:add",
        "access:add",
        "give a person access to an app",
        (EMAIL,),
        (*APP, Flag("permissions", "p", "deploy,manage,operate,view (deploy,operate,view)", option=True)),
    ),
    Command("access:remove", "access:remove", "take a person's access away", (), APP, strict=False),
    Command(
        "access:update",
        "access:update",
        "change what a person may do to an app",
        (EMAIL,),
        (*APP, Flag("permissions", "p", "deploy,manage,operate,view", option=True, required=True)),
    ),
    Command(
        "admin:audit",
        "admin:audit",
        "show who changed what, the latest last (operator)",
        (),
        (
            Flag("app", "a", "only of this app", option=True),
            JSON,
            Flag("num", "n", "number of events (50)", option=True, integer=True),
            Flag("user", "u", "only by this person (e-mail)", option=True),
        ),
    ),
    Command("admin:invitations", "admin:invitations", "list invitations that nobody took yet (operator)", (), (JSON,)),
    Command("admin:invitations:revoke", "admin:withdraw", "take an invitation back (operator)", (EMAIL,)),
    Command("admin:invite", "admin:invite", "invite a person: prints a URL to hand out (operator)", (EMAIL,), (JSON,)),
    Command(
        "admin:migrate-store",
        "doctor:migrate_store",
        "move slugs, caches and sources to another object store (on the platform's machine, as root)",
        (Arg("url", True, "s3://<bucket> or files:<directory>"),),
        (
            Flag("ca", help="file with the certificates by which the store is trusted", option=True),
            Flag("endpoint", help="address of the store: http[s]://<host>[:<port>]", option=True),
            Flag("region", help="of the store (us-east-1)", option=True),
        ),
    ),
    Command("admin:users", "admin:users", "list the users of the platform (operator)", (), (JSON,)),
    Command(
        "admin:users:2fa:disable",
        "admin:forget_two_factor",
        "let a user log in by password alone who has lost authenticator and passkeys; ends all logins (operator)",
        (EMAIL,),
    ),
    Command("admin:users:remove", "admin:remove", "remove a user who owns no apps (operator)", (EMAIL,)),
    Command(
        "admin:users:reset", "admin:reset", "let a user set a new password: prints a URL (operator)", (EMAIL,), (JSON,)
    ),
    Command("apps:join", "transfers:join", "make yourself a collaborator of an app of your team", (), APP, ("join",)),
    Command("apps:leave", "transfers:leave", "give up your access to an app", (), APP, ("leave",)),
    Command(
        "apps:transfer",
        "transfers:offer",
        "give an app to another person, or to a team",
        (Arg("recipient", True, "e-mail, or name of the team"),),
        (*ANY_APP, Flag("locked", "l", "lock the app: members of the team do not join it by themselves")),
    ),
    Command("apps:transfers", "transfers:show", "list apps that are offered to you, or by you", (), (JSON,)),
    Command("apps:transfers:accept", "transfers:accept", "take an app that is offered to you", (APP_NAME,)),
    Command("apps:transfers:decline", "transfers:decline", "refuse an app that is offered to you", (APP_NAME,)),
    Command("apps:transfers:withdraw", "transfers:withdraw", "take the offer of an app back", (APP_NAME,)),
    Command(
        "auth:2fa", "two_factor:show", "show whether two factors are needed to log in", aliases=("2fa", "twofactor")
    ),
    Command(
        "auth:2fa:disable",
        "two_factor:disable",
        "log in with the password alone",
        aliases=("twofactor:disable", "2fa:disable"),
    ),
    Command("auth:2fa:enable", "two_factor:enable", "log in with the password and a code of an authenticator"),
    Command("auth:2fa:recovery", "two_factor:recover", "make new recovery codes; the old ones end"),
    Command(
        "auth:join",
        "two_factor:join",
        "take an invitation, or set a new password: the URL that the operator gave you",
        (Arg("url", True),),
    ),
    Command(
        "auth:login",
        "auth:login",
        "log in with e-mail and password, or in a browser",
        (),
        (
            Flag("expires-in", "e", "seconds until the token expires (30 days)", option=True, integer=True),
            Flag("browser", help="log in on a page of the platform, also by passkey", excludes=("interactive",)),
            Flag("interactive", "i", "ask for e-mail and password (always so but with --browser)"),
            Flag("host", help="address of the platform, as https://host:port (pogo only)", option=True),
        ),
        ("login",),
    ),
    Command("auth:logout", "auth:logout", "forget the login and revoke its token", aliases=("logout",)),
    Command("auth:password", "two_factor:change_password", "change your password"),
    Command("auth:token", "auth:token", "print the token in use"),
    Command("auth:whoami", "auth:whoami", "print who you are", aliases=("whoami",)),
    Command("authorizations", "authorizations:show", "list your tokens", (), (JSON_J,)),
    Command(
        "authorizations:create",
        "authorizations:create",
        "make a token",
        (),
        (
            Flag("description", "d", "what it is for", option=True),
            Flag("expires-in", "e", "seconds until it expires (never)", option=True),
            JSON_J,
            Flag(
                "scope", "s", "global, identity, read, write, read-protected, write-protected: with commas", option=True
            ),
            Flag("short", "S", "print the token alone"),
        ),
    ),
    Command("authorizations:info", "authorizations:info", "show a token", (ID,), (JSON_J,)),
    Command(
        "authorizations:revoke",
        "authorizations:revoke",
        "end a token",
        (ID,),
        aliases=("authorizations:destroy",),
    ),
    Command("authorizations:rotate", "authorizations:rotate", "replace a token by a new one", (ID,)),
    Command(
        "authorizations:update",
        "authorizations:update",
        "change the description of a token, or its client",
        (ID,),
        (
            Flag("client-id", help="client that it is of", option=True),
            Flag("client-secret", help="secret of that client", option=True),
            Flag("description", "d", "what it is for", option=True),
        ),
    ),
    Command("clients", "authorizations:clients", "list your OAuth clients", (), (JSON_J,)),
    Command(
        "clients:create",
        "authorizations:create_client",
        "make an OAuth client",
        (Arg("name", True), Arg("redirect_uri", True, "https:// URL")),
        (JSON_J, CLIENT_SHELL),
    ),
    Command("clients:destroy", "authorizations:destroy_client", "remove an OAuth client and its tokens", (ID,)),
    Command("clients:info", "authorizations:client_info", "show an OAuth client", (ID,), (JSON_J, CLIENT_SHELL)),
    Command(
        "clients:rotate",
        "authorizations:rotate_client",
        "give an OAuth client a new secret",
        (ID,),
        (JSON_J, CLIENT_SHELL),
    ),
    Command(
        "clients:update",
        "authorizations:update_client",
        "change an OAuth client",
        (ID,),
        (Flag("name", "n", "its name", option=True), Flag("url", help="its redirect URI", option=True)),
    ),
    Command(
        "keys",
        "keys:show",
        "list your SSH keys",
        (),
        (JSON, Flag("long", "l", "show the keys in full")),
    ),
    Command(
        "keys:add",
        "keys:add",
        "add an SSH key",
        (Arg("key", help="file with the public key; the only one in ~/.ssh if none is given"),),
        (
            Flag("quiet", help="accepted, without effect", hidden=True),
            Flag("yes", "y", "do not ask"),
        ),
    ),
    Command("keys:clear", "keys:clear", "remove all SSH keys"),
    Command("keys:remove", "keys:remove", "remove an SSH key", (Arg("key", True, "its comment, fingerprint or id"),)),
    Command(
        "usage",
        "usage:show",
        "show how much dyno time your apps, those of a team, or one app had in a month",
        (),
        (
            Flag("app", "a", "only this app, by process type and size", option=True),
            JSON,
            Flag("month", "m", "YYYY-MM (this month)", option=True),
            Flag("team", "t", "the apps of this team", option=True),
        ),
    ),
    Command(
        "usage:addons",
        "catalog:usage",
        "show the usage of metered add-ons",
        (),
        (
            Flag("app", "a", "the app", option=True),
            Flag("team", "t", "the team", option=True),
        ),
    ),
    Command("passkeys", "passkeys:show", "list your passkeys", (), (JSON,)),
    Command("passkeys:add", "passkeys:add", "make a passkey: prints the URL of a page to open in a browser"),
    Command("passkeys:remove", "passkeys:remove", "remove a passkey", (Arg("passkey", True, "its name or id"),)),
    Command(
        "passkeys:rename",
        "passkeys:rename",
        "give a passkey another name",
        (Arg("passkey", True, "its name or id"), Arg("name", True, "the new name")),
    ),
    Command("sessions", "authorizations:sessions", "list your logins", (), (JSON_J,)),
    Command("sessions:destroy", "authorizations:destroy_session", "end a login", (ID,)),
)
