"""Apps, their config vars and features."""

from __future__ import annotations

from pogo.cli.parser import Arg, Command, Flag
from pogo.cli.table.flags import ANY_APP, APP, CREATE_FLAGS, FEATURE, HIDDEN_APP, JSON, JSON_J, SHELL

COMMANDS = (
    Command(
        "apps",
        "apps:show",
        "list your apps",
        (),
        (
            Flag("all", "A", "include the apps of all teams"),
            JSON_J,
            Flag("personal", "p", "only personal apps"),
            Flag("team", "t", "only apps of this team", option=True),
        ),
        ("list", "apps:list"),
    ),
    Command("apps:create", "apps:create", "create an app", (Arg("app", help="its name"),), CREATE_FLAGS, ("create",)),
    Command(
        "apps:destroy",
        "apps:destroy",
        "destroy an app for good",
        (HIDDEN_APP,),
        (*ANY_APP, Flag("confirm", "c", "the app's name, instead of the question", option=True)),
        ("destroy", "apps:delete"),
    ),
    Command(
        "apps:diff",
        "diff:show",
        "show what two apps differ in: code, config vars, stack, buildpacks, features",
        (Arg("app1", True), Arg("app2", True)),
    ),
    Command("apps:info", "apps:info", "show an app", (HIDDEN_APP,), (*ANY_APP, JSON_J, SHELL), ("info",)),
    Command("apps:open", "apps:open_", "open an app in the browser", (Arg("path"),), APP, ("open",)),
    Command("apps:rename", "apps:rename", "rename an app", (Arg("newname", True),), APP, ("rename",)),
    Command("apps:stacks", "stacks:show", "list the stacks an app can use", (), APP, ("stack",)),
    Command("apps:stacks:set", "stacks:choose", "set the stack of an app", (Arg("stack", True),), APP, ("stack:set",)),
    Command("config", "config:show", "show the config vars of an app", (), (*APP, JSON_J, SHELL)),
    Command("config:edit", "config:edit", "edit config vars in $EDITOR", (Arg("key", help="only this one"),), APP),
    Command(
        "config:get", "config:get", "show one config var", (Arg("KEY", True),), (*APP, JSON_J, SHELL), strict=False
    ),
    Command("config:set", "config:assign", "set config vars: A=1 B=2", (), APP, ("config:add",), strict=False),
    Command("config:unset", "config:unset", "remove config vars", (), APP, ("config:remove",), strict=False),
    Command("features", "features:show", "list the features of an app", (), (*APP, JSON)),
    Command("features:disable", "features:disable", "switch a feature off", (FEATURE,), APP),
    Command("features:enable", "features:enable", "switch a feature on", (FEATURE,), APP),
    Command("features:info", "features:info", "show a feature", (FEATURE,), (*APP, JSON)),
    Command("labs", "features:labs", "list experimental features of an app", (), (*ANY_APP, JSON)),
    Command("labs:disable", "features:disable", "switch an experimental feature off", (FEATURE,), ANY_APP),
    Command("labs:enable", "features:enable", "switch an experimental feature on", (FEATURE,), ANY_APP),
    Command("labs:info", "features:info", "show an experimental feature", (FEATURE,), (*ANY_APP, JSON)),
    Command("maintenance", "apps:maintenance", "show whether an app is in maintenance", (), APP),
    Command("maintenance:off", "apps:maintenance_off", "end the maintenance of an app", (), APP),
    Command("maintenance:on", "apps:maintenance_on", "put an app into maintenance", (), APP),
)
