"""How `pogo` differs from the official client's command surface, and why. Read by error messages and by the test."""

from __future__ import annotations

NO_SPACES = "there are no private spaces here"
NO_CODE_HOST = "nothing happens by itself: no code host is connected"
NO_PIPELINE_HOOKS = "webhooks are of apps"
NO_EXTENDED = "it shows internals of another platform"
NO_ADDONS = "add-ons come later"
NO_AUTOSCALE = "dynos are scaled by hand: pogo ps:scale"
NO_DASHBOARD = "there is no dashboard here"
USE_JSON = "use --json and a tool of your choice"

#: (command, flag) of the official client that `pogo` does not take → the reason. `*` stands for every command.
UNSUPPORTED = {
    ("*", "prompt"): "pogo names what is missing instead of asking for it",
    ("apps", "internal-routing"): NO_SPACES,
    ("apps", "space"): NO_SPACES,
    ("commands", "columns"): USE_JSON,
    ("commands", "deprecated"): "none is",
    ("commands", "extended"): USE_JSON,
    ("commands", "no-truncate"): "nothing is truncated",
    ("commands", "sort"): "they are sorted by id",
    ("commands", "tree"): "pogo help --nested-commands shows them",
    ("apps:create", "addons"): "add-ons come later",
    ("apps:create", "features"): "an app has no features to choose yet",
    ("apps:create", "internal-routing"): NO_SPACES,
    ("apps:create", "kernel"): "the stack is the choice here",
    ("apps:create", "manifest"): "no heroku.yml",
    ("apps:create", "space"): NO_SPACES,
    ("apps:transfer", "bulk"): "transfer them one by one",
    ("apps:transfer", "confirm"): "it is not asked for: a transfer can be taken back",
    ("apps:info", "extended"): NO_EXTENDED,
    ("auth:login", "sso"): "log in with e-mail and password",
    ("domains", "columns"): USE_JSON,
    ("domains", "csv"): USE_JSON,
    ("domains", "extended"): USE_JSON,
    ("domains", "filter"): USE_JSON,
    ("domains", "no-wrap"): "nothing is wrapped",
    ("domains", "sort"): USE_JSON,
    ("drains", "extended"): NO_EXTENDED,
    ("auth:login", "browser"): "a switch here: the browser is the usual one of the machine",
    ("labs:disable", "confirm"): "nothing is lost that could not be switched on again",
    ("ps", "extended"): NO_EXTENDED,
    ("reviewapps:disable", "autodeploy"): NO_CODE_HOST,
    ("reviewapps:disable", "autodestroy"): NO_CODE_HOST,
    ("reviewapps:disable", "wait-for-ci"): NO_CODE_HOST,
    ("reviewapps:disable", "no-autodeploy"): NO_CODE_HOST,
    ("reviewapps:disable", "no-autodestroy"): NO_CODE_HOST,
    ("reviewapps:disable", "no-wait-for-ci"): NO_CODE_HOST,
    ("reviewapps:enable", "autodeploy"): NO_CODE_HOST,
    ("reviewapps:enable", "autodestroy"): NO_CODE_HOST,
    ("reviewapps:enable", "wait-for-ci"): NO_CODE_HOST,
    ("webhooks", "pipeline"): NO_PIPELINE_HOOKS,
    ("webhooks:add", "pipeline"): NO_PIPELINE_HOOKS,
    ("webhooks:deliveries", "pipeline"): NO_PIPELINE_HOOKS,
    ("webhooks:deliveries:info", "pipeline"): NO_PIPELINE_HOOKS,
    ("webhooks:events", "pipeline"): NO_PIPELINE_HOOKS,
    ("webhooks:events:info", "pipeline"): NO_PIPELINE_HOOKS,
    ("webhooks:info", "pipeline"): NO_PIPELINE_HOOKS,
    ("webhooks:remove", "pipeline"): NO_PIPELINE_HOOKS,
    ("webhooks:update", "pipeline"): NO_PIPELINE_HOOKS,
    ("ps:exec", "ssh"): "pogo needs no ssh",
    ("releases", "extended"): NO_EXTENDED,
    ("run:inside", "listen"): "it opens ports of another platform's tooling",
    ("run", "listen"): "it opens ports of another platform's tooling",
}

#: Command, or topic of which `pogo` has nothing, of the official client → why it is not here.
LEFT_OUT = {
    "accounts": "one login is kept for each platform (pogo platform); POGO_API_KEY overrides it",
    "addons": NO_ADDONS,
    "apps:errors": "pogo router:metrics counts them",
    "apps:favorites": NO_DASHBOARD,
    "apps:favorites:add": NO_DASHBOARD,
    "apps:favorites:remove": NO_DASHBOARD,
    "autocomplete:create": "the script is made anew whenever a shell reads it",
    "autocomplete:doctor": "nothing is stored that could be wrong",
    "ci": "there are no test runs here",
    "container": "there is no registry of images here: slugs are built from source",
    "dashboard": NO_DASHBOARD,
    "data": NO_ADDONS,
    "local": "it asks no platform: any runner of Procfiles does it",
    "mcp": "it asks no platform; programs call pogo with --json",
    "notifications": NO_DASHBOARD,
    "orgs:open": NO_DASHBOARD,
    "pg": NO_ADDONS,
    "pipelines:connect": NO_CODE_HOST,
    "pipelines:open": NO_DASHBOARD,
    "plugins": "pogo takes no plugins",
    "ps:autoscale:disable": NO_AUTOSCALE,
    "ps:autoscale:enable": NO_AUTOSCALE,
    "ps:socks": "pogo ps:forward reaches the same ports",
    "redis": NO_ADDONS,
    "repl": "a shell with pogo autocomplete does it",
    "search": "pogo commands lists all of them",
    "spaces": NO_SPACES,
    "status": "pogo doctor examines the platform",
    "telemetry": "logs go out by pogo drains; numbers are in pogo router:metrics",
    "update": "pogo is updated with its platform",
    "version:info": "CHANGELOG.md tells what each version brought",
}

#: Flags of ours on the official client's commands.
OUR_FLAGS = {("auth:login", "host"), ("auth:login", "browser")}

#: Commands of ours.
OUR_COMMANDS = {
    "admin:audit",
    "admin:backup",
    "admin:backup:key",
    "admin:backups",
    "admin:drill",
    "admin:keys:rotate",
    "admin:reclaim",
    "admin:restore",
    "admin:status",
    "admin:invitations",
    "admin:invitations:revoke",
    "admin:migrate-database",
    "admin:invite",
    "admin:migrate-store",
    "admin:users",
    "admin:users:2fa:disable",
    "admin:users:remove",
    "admin:users:reset",
    "apps:transfers",
    "apps:transfers:accept",
    "apps:transfers:decline",
    "apps:transfers:withdraw",
    "auth:2fa:enable",
    "auth:2fa:recovery",
    "auth:join",
    "auth:password",
    "builds",  # these five are of a plugin of the official client
    "builds:cache:purge",
    "builds:cancel",
    "builds:info",
    "builds:output",
    "buildpacks:mirrors",
    "buildpacks:mirrors:add",
    "buildpacks:mirrors:remove",
    "buildpacks:register",
    "buildpacks:unregister",
    "checks",
    "checks:set",
    "checks:unset",
    "doctor",
    "env",
    "heroku",
    "mirror",
    "mirror:log",
    "mirror:prefetch",
    "passkeys",
    "passkeys:add",
    "passkeys:remove",
    "passkeys:rename",
    "platform",
    "platform:add",
    "platform:remove",
    "platform:use",
    "router",
    "router:metrics",
    "router:set",
    "router:unset",
    "stack:build",
    "usage",
}


def reason(command: str, flag: str) -> str | None:
    """Why a flag of the official client is not taken; None for a flag that it does not have either."""
    return UNSUPPORTED.get((command, flag)) or UNSUPPORTED.get(("*", flag))


def why_left_out(command: str) -> str | None:
    """Why a command of the official client is not here; None for what is no such command, or is here."""
    return LEFT_OUT.get(command) or LEFT_OUT.get(command.partition(":")[0])
