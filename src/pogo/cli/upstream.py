"""How `pogo` differs from the official client's command surface, and why. Read by error messages and by the test."""

from __future__ import annotations

NO_SPACES = "there are no private spaces here"
NO_CODE_HOST = "nothing happens by itself: no code host is connected"
NO_PIPELINE_HOOKS = "webhooks are of apps"
NO_EXTENDED = "it shows internals of another platform"
USE_JSON = "use --json and a tool of your choice"

#: (command, flag) of the official client that `pogo` does not take → the reason. `*` stands for every command.
UNSUPPORTED = {
    ("*", "prompt"): "pogo names what is missing instead of asking for it",
    ("apps", "internal-routing"): NO_SPACES,
    ("apps", "space"): NO_SPACES,
    ("apps:create", "addons"): "add-ons come later",
    ("apps:create", "features"): "an app has no features to choose yet",
    ("apps:create", "internal-routing"): NO_SPACES,
    ("apps:create", "kernel"): "the stack is the choice here",
    ("apps:create", "manifest"): "no heroku.yml",
    ("apps:create", "space"): NO_SPACES,
    ("apps:transfer", "bulk"): "transfer them one by one",
    ("apps:transfer", "confirm"): "it is not asked for: a transfer can be taken back",
    ("apps:info", "extended"): NO_EXTENDED,
    ("auth:login", "browser"): "log in with e-mail and password",
    ("auth:login", "sso"): "log in with e-mail and password",
    ("domains", "columns"): USE_JSON,
    ("domains", "csv"): USE_JSON,
    ("domains", "extended"): USE_JSON,
    ("domains", "filter"): USE_JSON,
    ("domains", "no-wrap"): "nothing is wrapped",
    ("domains", "sort"): USE_JSON,
    ("drains", "extended"): NO_EXTENDED,
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

#: Flags of ours on the official client's commands.
OUR_FLAGS = {("auth:login", "host")}

#: Commands of ours.
OUR_COMMANDS = {
    "admin:audit",
    "admin:invitations",
    "admin:invitations:revoke",
    "admin:invite",
    "admin:users",
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
    "mirror",
    "mirror:log",
    "mirror:prefetch",
    "platform",
    "platform:add",
    "platform:remove",
    "platform:use",
    "router",
    "router:metrics",
    "router:set",
    "router:unset",
    "stack:build",
}


def reason(command: str, flag: str) -> str | None:
    """Why a flag of the official client is not taken; None for a flag that it does not have either."""
    return UNSUPPORTED.get((command, flag)) or UNSUPPORTED.get(("*", flag))
