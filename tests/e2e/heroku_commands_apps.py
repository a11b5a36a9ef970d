"""Commands of an app that needs no code: the app itself, its config, domains, certificates, webhooks."""

from __future__ import annotations

from heroku_commands import UUID, Chapter, has, lacks, step

APP = "/apps/{app}"
CERTIFICATE = (
    "$ openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 30 -subj /CN=www.{app}.example"
)
EDITOR = "$ printf '#!/bin/sh\\necho EDITED=yes > \"$1\"\\n' > edit && chmod +x edit"

APPS = Chapter(
    "kept",
    (
        step("apps:create first-{app} --no-remote", "Creating first-{app}... done", then=has("/apps/first-{app}")),
        step("apps:rename {app} -a first-{app}", "Renaming first-{app} to {app}... done", then=has(APP, name="{app}")),
        step("apps", "{app} \\(local\\)"),
        step("apps:info -a {app}", "=== {app}", "Web URL: +http://{app}.localhost"),
        step("apps:open -a {app}", "Opening http://{app}.localhost"),
        step("apps:stacks -a {app}", "\\* pogo-13"),
        step(
            "apps:stacks:set pogo-13 -a {app}", "Setting stack to pogo-13... done", then=has(APP, stack__name="pogo-13")
        ),
        step("features -a {app}", "\\[ \\] http-session-affinity"),
        step(
            "features:enable http-session-affinity -a {app}",
            "Enabling http-session-affinity for {app}... done",
            then=has(APP + "/features/http-session-affinity", enabled=True),
        ),
        step("features:info http-session-affinity -a {app}", "Enabled: +true"),
        step(
            "features:disable http-session-affinity -a {app}",
            then=has(APP + "/features/http-session-affinity", enabled=False),
        ),
        step("labs -a {app}", "\\[ \\] log-runtime-metrics"),
        step("labs:enable log-runtime-metrics -a {app}", then=has(APP + "/features/log-runtime-metrics", enabled=True)),
        step("labs:info log-runtime-metrics -a {app}", "Enabled: +true"),
        step(
            "labs:disable log-runtime-metrics -a {app}", then=has(APP + "/features/log-runtime-metrics", enabled=False)
        ),
        step("maintenance:on -a {app}", "Enabling maintenance mode for {app}... done", then=has(APP, maintenance=True)),
        step("maintenance -a {app}", "^on$"),
        step("maintenance:off -a {app}", "Disabling maintenance mode", then=has(APP, maintenance=False)),
        step(
            "drains:add http://127.0.0.1:9/x -a {app}",
            "Successfully added drain",
            then=has(APP + "/log-drains", url="http://127.0.0.1:9/x"),
        ),
        step("drains -a {app}", "http://127.0.0.1:9/x \\(d\\."),
        step(
            "drains:remove http://127.0.0.1:9/x -a {app}", then=lacks(APP + "/log-drains", url="http://127.0.0.1:9/x")
        ),
        step(
            "usage:addons -a {app}",
            "No usage found for app {app}",
            partly="the list is empty: there are no add-ons yet",
        ),
        step("apps:destroy -a {app} --confirm {app}", "Destroying {app}.*done", then=lacks(APP)),
    ),
)

CONFIG = Chapter(
    "config",
    (
        step("create {app} --no-remote", "Creating {app}... done"),
        step(
            "config:set A=1 B=two -a {app}",
            "Setting A, B and restarting {app}... done, v2",
            then=has(APP + "/config-vars", A="1", B="two"),
        ),
        step("config -a {app}", "=== {app} Config Vars", "A: 1", "B: two"),
        step("config:get B -a {app}", "^two$"),
        step(
            "config:unset A -a {app}",
            "Unsetting A and restarting {app}... done, v3",
            then=has(APP + "/releases", version=3),
        ),
        step("config:remove B -a {app}", "Unsetting B and restarting {app}... done, v4"),
        step(EDITOR),
        step("$ echo y | EDITOR=$PWD/edit heroku config:edit -a {app}", then=has(APP + "/config-vars", EDITED="yes")),
        step("buildpacks -a {app}", "{app} has no Buildpacks"),
        step(
            "buildpacks:set heroku/python -a {app}",
            "Buildpack set",
            then=has(APP + "/buildpack-installations", ordinal=0),
        ),
        step("buildpacks:add --index 1 heroku/nodejs -a {app}", "1. heroku/nodejs", "2. heroku/python"),
        step("buildpacks:remove heroku/nodejs -a {app}", "will use heroku/python"),
        step(
            "buildpacks:clear -a {app}", "Buildpacks cleared", then=lacks(APP + "/buildpack-installations", ordinal=0)
        ),
        step("buildpacks:info heroku/python", "=== heroku/python"),
        step("buildpacks:search python", "heroku/python +languages", "1 buildpack found"),
        step("buildpacks:versions heroku/python", "published"),
        step("create {app}-other --no-remote"),
        step("apps:diff {app} {app}-other", "config"),
        step("destroy -a {app}-other --confirm {app}-other", then=lacks(APP + "-other")),
        step("destroy -a {app} --confirm {app}", then=lacks(APP)),
    ),
)

DOMAINS = Chapter(
    "named",
    (
        step("create {app} --no-remote"),
        step("domains -a {app}", "{app}.localhost"),
        step("certs -a {app}", "{app} has no SSL certificates"),
        step(CERTIFICATE),
        step("certs:add c.pem k.pem -a {app}", "done", then=has(APP + "/sni-endpoints", app__name="{app}")),
        step("certs -a {app}", "www.{app}.example", keep={"cert": "^  (\\S+) .*www"}),
        step(
            "domains:add www.{app}.example --cert {cert} -a {app}",
            "Adding www.{app}.example to {app}... done",
            then=has(APP + "/domains", hostname="www.{app}.example"),
        ),
        step("domains:wait www.{app}.example -a {app}", "Waiting for www.{app}.example... done"),
        step("domains:info www.{app}.example -a {app}", "cname: +{app}.localhost", "status: +succeeded"),
        step("certs:info -a {app}", "SSL certificate is self signed"),
        step(
            "domains:update www.{app}.example --cert {cert} -a {app}",
            "done",
            then=has(APP + "/domains", sni_endpoint__name="{cert}"),
        ),
        step("certs:update c.pem k.pem -a {app} --confirm {app}", "Updating SSL certificate"),
        step("domains:update www.{app}.example --cert {cert} -a {app}"),
        step(
            "certs:remove -a {app} --confirm {app}",
            "Removing SSL certificate",
            then=lacks(APP + "/sni-endpoints", app__name="{app}"),
        ),
        step("certs:auto -a {app}", "Automatic Certificate Management is disabled on {app}"),
        step(
            "certs:auto:enable -a {app}",
            "Automatic certificates are not set up on this platform",
            status=2,
            partly="it needs an operator who has named an authority (docs/tls.md); without one it says so",
        ),
        step("certs:auto:refresh -a {app}", "Refreshing Automatic Certificate Management... done"),
        step("certs:auto:disable -a {app} --confirm {app}", "Disabling.*done", then=has(APP, acm=False)),
        step(
            "certs:generate www.{app}.example -a {app} --selfsigned --now",
            "self-signed certificate have been generated",
        ),
        step("domains:remove www.{app}.example -a {app}", then=lacks(APP + "/domains", hostname="www.{app}.example")),
        step("domains:add www2.{app}.example -a {app}"),
        step(
            "domains:clear -a {app}",
            "Removing all domains from {app}... done",
            then=lacks(APP + "/domains", kind="custom"),
        ),
        step("destroy -a {app} --confirm {app}"),
    ),
)

WEBHOOKS = Chapter(
    "hooked",
    (
        step("create {app} --no-remote"),
        step("webhooks:add -i api:release -l notify -u https://127.0.0.1:9/h -a {app}", "Webhooks Signing Secret"),
        step("webhooks -a {app}", "https://127.0.0.1:9/h +api:release +notify", keep={"hook": f"({UUID})"}),
        step("webhooks:info {hook} -a {app}", "Level: +notify"),
        step(
            "webhooks:update {hook} -i api:release -l sync -u https://127.0.0.1:9/g -a {app}",
            then=has(APP + "/webhooks/{hook}", level="sync", url="https://127.0.0.1:9/g"),
        ),
        step("config:set X=1 -a {app}", then=has(APP + "/webhook-deliveries", num_attempts=1)),
        step("webhooks:deliveries -a {app}", "api:release +sync +\\d", keep={"delivery": f"({UUID})"}),
        step("webhooks:deliveries:info {delivery} -a {app}", '"description": "Set X config vars"'),
        step("webhooks:events -a {app}", "release +create", keep={"event": f"({UUID})"}),
        step("webhooks:events:info {event} -a {app}", '"resource": "release"'),
        step(
            "webhooks:remove {hook} -a {app}",
            "Removing webhook {hook} from {app}... done",
            then=lacks(APP + "/webhooks/{hook}"),
        ),
        step("destroy -a {app} --confirm {app}"),
    ),
)
