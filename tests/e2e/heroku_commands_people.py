"""Commands of accounts, tokens, teams and access; and those that look around."""

from __future__ import annotations

from heroku_commands import MAKE_TEAM, UUID, Chapter, has, lacks, step

NONE = "the list is empty: there is nothing of this kind yet"
NETRC = "it changes the login of api.heroku.com in ~/.netrc, whatever platform is used: set HEROKU_API_KEY instead"
APP = "/apps/{app}"
GRANT = "/oauth/authorizations/{grant}"
CLIENT = "/oauth/clients/{client}"
TEAM = "/teams/{app}-team"
CREDENTIALS = "$ printf 'protocol=https\\nhost=%s\\n\\n' $HEROKU_GIT_HOST | heroku git:credentials get"

ACCOUNT = Chapter(
    "account",
    (
        step("whoami", "^admin@localhost$"),
        step("auth:token", "^HRKU-"),
        step("2fa", "Two-factor authentication is not enabled"),
        step(
            "authorizations:create -d robot -s read,write -e 1000",
            "Scope: +read,write",
            keep={"grant": f"ID: +({UUID})"},
        ),
        step("authorizations", "robot +{grant} +read,write"),
        step("authorizations:info {grant}", "Description: robot"),
        step("authorizations:update {grant} -d automaton", then=has(GRANT, description="automaton")),
        step("authorizations:rotate {grant}", "Token: +HRKU-"),
        step("authorizations:revoke {grant}", "revoked authorization from automaton", then=lacks(GRANT)),
        step("clients:create bot https://bot.example.com/cb", keep={"client": f"HEROKU_OAUTH_ID=({UUID})"}),
        step("clients", "bot +{client} +https://bot.example.com/cb"),
        step("clients:info {client}", "redirect_uri: https://bot.example.com/cb"),
        step("clients:update {client} -n robot", then=has(CLIENT, name="robot")),
        step("clients:rotate {client}", "secret: +\\S+"),
        step("clients:destroy {client}", then=lacks(CLIENT)),
        step("$ ssh-keygen -q -t ed25519 -N '' -C {app}@laptop -f id"),
        step("keys:add id.pub", "Uploading id.pub SSH key... done", then=has("/account/keys", comment="{app}@laptop")),
        step("keys", "{app}@laptop"),
        step("keys:remove {app}@laptop", then=lacks("/account/keys", comment="{app}@laptop")),
        step("keys:add id.pub"),
        step("keys:clear", "Removing all SSH keys... done", then=lacks("/account/keys", comment="{app}@laptop")),
        step("sessions", "No OAuth sessions|Description +ID"),
        step(CREDENTIALS, "username=heroku", "password=HRKU-"),
        step("regions", "local +This installation"),
        step("status", "Apps: +No known issues"),
    ),
)

#: kim@example.com is somebody else of this platform, with an account.
TEAMS = Chapter(
    "shared",
    (
        step("create {app} --no-remote"),
        step(
            "access:add kim@example.com -p view -a {app}",
            then=has(APP + "/collaborators", user__email="kim@example.com"),
        ),
        step("access -a {app}", "kim@example.com +collaborator"),
        step(
            "access:remove kim@example.com -a {app}", then=lacks(APP + "/collaborators", user__email="kim@example.com")
        ),
        step(MAKE_TEAM, then=has(TEAM)),
        step("teams", "{app}-team +admin"),
        step("orgs", "{app}-team +admin"),
        step(
            "members:add kim@example.com -r member -t {app}-team", then=has(TEAM + "/members", email="kim@example.com")
        ),
        step("members -t {app}-team", "kim@example.com +member"),
        step(
            "members:set kim@example.com -r admin -t {app}-team",
            then=has(TEAM + "/members", email="kim@example.com", role="admin"),
        ),
        step("members:remove kim@example.com -t {app}-team", then=lacks(TEAM + "/members", email="kim@example.com")),
        step("apps:transfer {app}-team -a {app}", then=has(APP, team__name="{app}-team")),
        step("lock -a {app}", "Locking {app}... done", then=has(APP, locked=True)),
        step("unlock -a {app}", "Unlocking {app}... done", then=has(APP, locked=False)),
        step("access:update admin@localhost -p view,deploy -a {app}", "done"),
        step(
            "leave -a {app}", "Leaving {app}... done", then=lacks(APP + "/collaborators", user__email="admin@localhost")
        ),
        step("join -a {app}", "Joining {app}... done", then=has(APP + "/collaborators", user__email="admin@localhost")),
        step("destroy -a {app} --confirm {app}", then=lacks(APP)),
    ),
)

#: What nobody has here yet: empty lists, and refusals that say what is the matter.
NOTHING = Chapter(
    "nothing",
    (
        step("create {app} --no-remote"),
        step("addons", "^No add-ons", partly=NONE),
        step("addons -a {app}", "No add-ons for app {app}"),
        step("addons:services", partly=NONE),
        step("spaces", "You do not have access to any spaces", status=2, partly=NONE),
        step("pg:info -a {app}", "{app} has no heroku-postgresql databases", partly=NONE),
        step("redis:info -a {app}", partly=NONE),
        step("pg:psql -a {app}", "{app} has no databases", status=1),
        step("addons:create heroku-postgresql -a {app}", "Couldn't find", status=2),
        step("addons:info none -a {app}", "Couldn't find", status=2),
        step("addons:plans none", "Couldn't find", status=2),
        step("pg:backups -a {app}", "No backups", partly=NONE),
        step("data:maintenances -a {app}", "No maintenances found", status=2, partly=NONE),
        step("telemetry -a {app}", partly=NONE),
        step("destroy -a {app} --confirm {app}"),
    ),
)

LOCAL = Chapter(
    "local",
    (
        step("version", "^heroku/11"),
        step("version:info", "heroku/"),
        step("help apps", "list your apps"),
        step("which whoami", "aliasOf: auth:whoami"),
        step("commands", "authorizations:rotate"),
        step("plugins", "No plugins installed"),
        step("plugins:update", "Updating plugins"),
        step("plugins:reset", "Found 0 plugin"),
        step("update", "not updatable"),
        step("autocomplete bash", "Building the autocomplete cache"),
        step("autocomplete:create"),
        step("autocomplete:script bash", "HEROKU_AC_BASH_SETUP_PATH"),
        step("autocomplete:options"),
        step("autocomplete:doctor", "cli version"),
        step("accounts:add work"),
        step("accounts", "work"),
        step("accounts:set work", partly=NETRC),
        step("accounts:current", "Current account is work"),
        step("accounts:remove work", "work is the current account", status=2, partly=NETRC),
        step("local:version", "^\\d"),
        step("$ printf 'PORT=5123\\n' > .env; printf 'web: echo at $PORT\\n' > Procfile"),
        step("$ heroku local", "at 5123"),
        step("local:run env", "PORT=5123"),
        step("$ printf 'whoami\\nexit\\n' | heroku repl", "admin@localhost"),
        step("$ printf '{{}}' > app-ci.json && heroku ci:migrate-manifest", "Creating app.json file... done"),
    ),
)
