"""Commands of an app with code: deploys, dynos, releases, pipelines."""

from __future__ import annotations

from heroku_commands import MAKE_TEAM, Chapter, Page, has, lacks, step

APP = "/apps/{app}"
PROD = "/apps/{app}-prod"
PUSH = "$ git push heroku main"
PIPE = "{app}-pipe"

DYNOS = Chapter(
    "dynamic",
    (
        step("apps:create {app}", "{app}.git"),
        step(PUSH, "Verifying deploy... done", then=Page("{app}", "one web.1")),
        step("git:remote -a {app} -r other", "set git remote other"),
        step("$ heroku git:clone -a {app} clone && cat clone/Procfile", "web: python3 server.py"),
        step(
            "ps:scale web=1 worker=2 -a {app}",
            "worker at 2:Basic",
            then=has(APP + "/dynos", name="worker.2", state="up"),
        ),
        step("dyno:scale -a {app}", "release=0:Basic web=1:Basic worker=2:Basic"),
        step("ps:wait -a {app}"),
        step("ps -a {app}", "=== web \\(Basic\\): python3 server.py \\(1\\)", "worker.2: up"),
        step("ps:type worker=basic -a {app}", "worker"),
        step("ps:resize -a {app}", "release +Basic +0", "worker +Basic +2"),
        step("ps:stop worker.1 -a {app}", "Stopping dyno worker.1 on {app}... done"),
        step("ps:kill worker.2 -a {app}", "Stopping dyno worker.2 on {app}... done"),
        step(
            "ps:restart -a {app}",
            "Restarting all dynos on {app}... done",
            then=has(APP + "/dynos", name="worker.1", state="up"),
        ),
        step("run:detached -a {app} -- echo detached", "Running echo detached on {app}... done"),
        step("run -a {app} --exit-code -- 'echo by $DYNO; (exit 9)'", "^by run\\.\\d+", status=9),
        step("rake -a {app} -- -T", "rake here"),
        step("console -a {app}", "console here"),
        step("ps:wait -a {app}"),
        step("run:inside web.1 -a {app} -- 'echo inside $DYNO'", "inside web.1"),
        step("logs -a {app} -n 100", "heroku\\[web.1\\]: State changed from starting to up"),
        step("destroy -a {app} --confirm {app}", then=lacks(APP)),
    ),
    source=True,
)

PIPELINES = Chapter(
    "piped",
    (
        step("apps:create {app}"),
        step(PUSH, "Verifying deploy... done"),
        step("create {app}-prod --no-remote"),
        step("releases -a {app}", "=== {app} Releases - Current: v2"),
        step("releases:info -a {app}", "=== Release v2"),
        step("config:set K=1 -a {app}", then=Page("{app}", "1", "/env/K")),
        step(
            "releases:rollback v2 -a {app}",
            "Rolling back {app} to v2... done, v4",
            then=Page("{app}", "(none)", "/env/K"),
        ),
        step("rollback v3 -a {app}", "Rolling back {app} to v3... done, v5", then=Page("{app}", "1", "/env/K")),
        step(
            "releases:retry -a {app}",
            "Retrying v5 on {app}... done, v6",
            "Running release command",
            then=has(APP + "/releases", version=6, status="succeeded", description="Retry of v5: Rollback to v3"),
        ),
        step("releases:output -a {app}", "released"),
        step(
            f"pipelines:create {PIPE} -a {{app}} -s staging",
            "done",
            then=has(APP + "/pipeline-couplings", stage="staging"),
        ),
        step(
            f"pipelines:add {PIPE} -a {{app}}-prod -s development",
            then=has(PROD + "/pipeline-couplings", stage="development"),
        ),
        step(
            "pipelines:update -a {app}-prod -s production", then=has(PROD + "/pipeline-couplings", stage="production")
        ),
        step("pipelines", PIPE),
        step(f"pipelines:info {PIPE}", "{app} +staging", "{app}-prod +production"),
        step("pipelines:promote -a {app}", "Promotion successful", then=Page("{app}-prod", "one web.1")),
        step(
            f"pipelines:open {PIPE}",
            "Opening https://dashboard.heroku.com",
            partly="it opens a page of Heroku's dashboard",
        ),
        step(f"$ cd .. && heroku ci:config:set A=1 -p {PIPE}", "A: 1"),
        step(f"$ cd .. && heroku ci:config -p {PIPE}", "A: 1"),
        step(f"$ cd .. && heroku ci:config:get A -p {PIPE}", "^1$"),
        step(f"$ cd .. && heroku ci:config:unset A -p {PIPE}", "done"),
        step(f"$ cd .. && heroku ci -p {PIPE}", partly="no test runs: they need GitHub"),
        step(f"pipelines:rename {PIPE} {PIPE}2", then=has("/pipelines", name=f"{PIPE}2")),
        step(MAKE_TEAM),
        step(
            f"pipelines:transfer {{app}}-team -p {PIPE}2 -c {PIPE}2",
            "Transferring",
            then=has("/pipelines", owner__type="team"),
        ),
        step("pipelines:remove -a {app}-prod", then=lacks(PROD + "/pipeline-couplings")),
        step(f"pipelines:destroy {PIPE}2", then=lacks("/pipelines", name=f"{PIPE}2")),
        step("destroy -a {app}-prod --confirm {app}-prod"),
        step("destroy -a {app} --confirm {app}"),
    ),
    source=True,
)
