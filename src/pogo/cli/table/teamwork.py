"""Pipelines, review apps, webhooks, teams."""

from __future__ import annotations

from pogo.cli.parser import Arg, Command, Flag
from pogo.cli.table.flags import ANY_APP, APP, JSON

PIPELINE = Arg("pipeline", True, "its name or id")
STAGE = Flag("stage", "s", "test, review, development, staging or production", option=True)
TEAM = Flag("team", "t", "the team", option=True)
A_TEAM = TEAM._replace(required=True)
ROLE = Flag("role", "r", "admin, member or viewer", option=True)
A_ROLE = ROLE._replace(required=True)
OF_PIPELINE = Flag("pipeline", "p", "the pipeline", option=True, required=True)
OF_A_PIPELINE = (*ANY_APP, OF_PIPELINE)
INTERVAL = Flag("wait-interval", help="seconds between two looks (5)", option=True)
ID = Arg("id", True)
HOOK = (
    Flag("authorization", "t", "sent as the Authorization header", option=True),
    Flag("include", "i", "what is told, separated by commas, as api:release,dyno", option=True, required=True),
    Flag("level", "l", "notify (one attempt) or sync (until it is delivered)", option=True, required=True),
    Flag("secret", "s", "signs what is sent; one is made up unless it is given", option=True),
    Flag("url", "u", "where it is sent to", option=True, required=True),
)

COMMANDS = (
    Command("apps:lock", "teams:lock", "keep members of the team from joining an app", (), APP, ("lock",)),
    Command("apps:unlock", "teams:unlock", "let members of the team join an app", (), APP, ("unlock",)),
    Command(
        "members",
        "teams:members",
        "list the members of a team",
        (),
        (JSON, Flag("pending", help="only who was invited and has not joined"), ROLE, A_TEAM),
    ),
    Command("members:add", "teams:add", "add a member to a team", (Arg("email", True),), (A_ROLE, A_TEAM)),
    Command("members:remove", "teams:remove", "remove a member from a team", (), (A_TEAM,), strict=False),
    Command("members:set", "teams:assign", "set the role of a member of a team", (), (A_ROLE, A_TEAM), strict=False),
    Command(
        "orgs",
        "teams:orgs",
        "list your teams, by their old name",
        (),
        (Flag("enterprise", help="only enterprise teams"), JSON, Flag("teams", help="accepted", hidden=True)),
    ),
    Command("pipelines", "pipelines:show", "list your pipelines", (), (JSON,)),
    Command("pipelines:add", "pipelines:add", "add an app to a pipeline", (PIPELINE,), (*APP, STAGE)),
    Command(
        "pipelines:create",
        "pipelines:create",
        "create a pipeline, with an app in it",
        (Arg("name", help="that of the app, unless it is given"),),
        (*APP, STAGE, TEAM),
    ),
    Command("pipelines:destroy", "pipelines:destroy", "destroy a pipeline; its apps stay", (PIPELINE,)),
    Command("pipelines:diff", "pipelines:diff", "compare the commits of an app and of those it promotes to", (), APP),
    Command(
        "pipelines:info",
        "pipelines:info",
        "show the apps of a pipeline",
        (PIPELINE,),
        (JSON, Flag("with-owners", help="with the owner of each app", hidden=True)),
    ),
    Command(
        "pipelines:promote",
        "pipelines:promote",
        "release what an app runs in the apps of the next stage",
        (),
        (*APP, Flag("to", "t", "apps to promote to, separated by commas", option=True)),
    ),
    Command("pipelines:remove", "pipelines:remove", "remove an app from its pipeline", (), APP),
    Command("pipelines:rename", "pipelines:rename", "rename a pipeline", (PIPELINE, Arg("name", True))),
    Command(
        "pipelines:setup",
        "pipelines:setup",
        "create a pipeline with an app for staging and one for production",
        (Arg("name"), Arg("repo")),
        (TEAM, Flag("yes", "y", "accepted, without effect: nothing is asked")),
    ),
    Command(
        "pipelines:transfer",
        "pipelines:transfer",
        "give a pipeline to a team, or to a user",
        (Arg("owner", True),),
        (
            Flag("confirm", "c", "the pipeline's name, instead of the question", option=True),
            OF_PIPELINE,
        ),
    ),
    Command(
        "pipelines:update",
        "pipelines:update",
        "move an app to another stage of its pipeline",
        (),
        (*APP, STAGE._replace(required=True)),
    ),
    Command(
        "reviewapps:create",
        "reviewapps:create",
        "create a review app of a branch of this repository",
        (),
        (
            Flag("branch", "b", "the branch", option=True, required=True),
            OF_PIPELINE,
            Flag("wait", help="wait until it is there"),
            INTERVAL,
        ),
    ),
    Command("reviewapps:disable", "reviewapps:disable", "make no more review apps in a pipeline", (), OF_A_PIPELINE),
    Command("reviewapps:enable", "reviewapps:enable", "let review apps be made in a pipeline", (), OF_A_PIPELINE),
    Command("reviewapps:wait", "reviewapps:wait", "wait until a review app is there", (Arg("app", True),), (INTERVAL,)),
    Command("teams", "teams:show", "list your teams", (), (JSON,)),
    Command("webhooks", "webhooks:show", "list the webhooks of an app", (), ANY_APP),
    Command("webhooks:add", "webhooks:add", "add a webhook", (), (*ANY_APP, *HOOK)),
    Command(
        "webhooks:deliveries",
        "webhooks:deliveries",
        "list deliveries to webhooks",
        (),
        (*ANY_APP, Flag("status", "s", "only of this status", option=True)),
    ),
    Command("webhooks:deliveries:info", "webhooks:delivery", "show a delivery", (ID,), ANY_APP),
    Command("webhooks:events", "webhooks:events", "list what webhooks were told", (), ANY_APP),
    Command("webhooks:events:info", "webhooks:event", "show an event", (ID,), ANY_APP),
    Command("webhooks:info", "webhooks:info", "show a webhook", (ID,), ANY_APP),
    Command("webhooks:remove", "webhooks:remove", "remove a webhook", (ID,), ANY_APP),
    Command("webhooks:update", "webhooks:update", "change a webhook", (ID,), (*ANY_APP, *HOOK)),
)
