"""The one table of commands. Ids, aliases, flags and arguments are the official client's; a test compares them.

It is data alone, so that a command imports only its own module. What of the official client is left out, and what
is ours, stands in `pogo.cli.upstream`.
"""

from __future__ import annotations

from pogo.cli.parser import Arg, Command, Flag

REMOTE = Flag("remote", "r", "git remote of the app to use", option=True)
APP = (Flag("app", "a", "app to run the command against", option=True, required=True), REMOTE)
ANY_APP = (Flag("app", "a", "app to run the command against", option=True), REMOTE)
JSON = Flag("json", help="show the result as JSON")
JSON_J = Flag("json", "j", "show the result as JSON")
SHELL = Flag("shell", "s", "show the result in shell format")
DYNO = Flag("dyno-name", "d", "only this dyno, as web.1", option=True)
TYPE = Flag("process-type", "p", "only dynos of this type", option=True, excludes=("dyno-name",))
INSIDE = Flag("dyno", "d", "the dyno (web.1)", option=True)
INDEX = Flag("index", "i", "1-based position in the list", option=True)
HIDDEN_APP = Arg("app", help="app to run the command against")
FEATURE = Arg("feature", True)
PEM = (Arg("CRT", True, "file with the certificate and its chain"), Arg("KEY", True, "file with the private key"))
CONFIRM = Flag("confirm", help="the app's name, instead of the question", option=True, hidden=True)
CONFIRM_C = CONFIRM._replace(char="c")
ENDPOINT = (
    Flag("endpoint", help="the certificate of this host", option=True),
    Flag("name", help="the certificate's name", option=True),
)
BUILD = "its number or id; the latest one if none is given"
BUILDPACK = "name (heroku/python) or git URL"
NAMED = "name, as heroku/python"
CREATE_FLAGS = (
    Flag("app", help="name of the new app", option=True, hidden=True),
    Flag("buildpack", "b", BUILDPACK, option=True),
    JSON,
    Flag("no-remote", "n", "do not create a git remote"),
    Flag("region", help="region of the app", option=True),
    Flag("remote", "r", "name of the git remote to create (pogo)", option=True),
    Flag("stack", "s", "stack of the app", option=True),
)
RUN_FLAGS = (
    *APP,
    Flag("env", "e", "environment variables, as 'A=1;B=2'", option=True),
    Flag("no-launcher", help="accepted, without effect: there is no launcher here"),
    Flag("size", "s", "dyno size", option=True),
    Flag("type", help="process type whose settings to use", option=True),
)

COMMANDS = (
    Command("access", "access:show", "who has access to an app", (), (*APP, JSON)),
    Command("access:add", "access:add", "give a person access to an app", (Arg("email", True),), APP),
    Command("access:remove", "access:remove", "take a person's access away", (), APP, strict=False),
    Command(
        "apps",
        "apps:show",
        "list your apps",
        (),
        (
            Flag("all", "A", "include the apps of all teams"),
            JSON_J,
            Flag("personal", "p", "only personal apps"),
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
    Command("apps:info", "apps:info", "show an app", (HIDDEN_APP,), (*ANY_APP, JSON_J, SHELL), ("info",)),
    Command("apps:open", "apps:open_", "open an app in the browser", (Arg("path"),), APP, ("open",)),
    Command("apps:rename", "apps:rename", "rename an app", (Arg("newname", True),), APP, ("rename",)),
    Command("apps:stacks", "stacks:show", "list the stacks an app can use", (), APP, ("stack",)),
    Command("apps:stacks:set", "stacks:choose", "set the stack of an app", (Arg("stack", True),), APP, ("stack:set",)),
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
    Command("buildpacks", "buildpacks:show", "list the buildpacks of an app", (), (*APP, JSON_J)),
    Command(
        "buildpacks:add",
        "buildpacks:add",
        "add a buildpack",
        (Arg("buildpack", True, BUILDPACK),),
        (*APP, INDEX, JSON_J),
    ),
    Command("buildpacks:clear", "buildpacks:clear", "remove all buildpacks", (), (*APP, JSON_J)),
    Command(
        "buildpacks:info", "registry:info", "show a registered buildpack", (Arg("buildpack", True, NAMED),), (JSON_J,)
    ),
    Command(
        "buildpacks:mirrors", "registry:mirrors", "list the mirrors that buildpacks are fetched from", (), (JSON_J,)
    ),
    Command(
        "buildpacks:mirrors:add",
        "registry:add_mirror",
        "fetch addresses that begin with a prefix from elsewhere (operator)",
        (Arg("prefix", True, "as https://github.com/"), Arg("url", True, "what takes its place")),
    ),
    Command(
        "buildpacks:mirrors:remove",
        "registry:remove_mirror",
        "remove a mirror (operator)",
        (Arg("prefix", True),),
    ),
    Command(
        "buildpacks:register",
        "registry:register",
        "give a name to a buildpack, or another address (operator)",
        (Arg("buildpack", True, NAMED), Arg("url", True, "git URL, with an optional #ref, or URL of a .tgz")),
        (Flag("description", "d", "what buildpacks:search shows", option=True),),
    ),
    Command(
        "buildpacks:remove",
        "buildpacks:remove",
        "remove a buildpack",
        (Arg("buildpack", help=BUILDPACK),),
        (*APP, INDEX, JSON_J),
    ),
    Command(
        "buildpacks:search",
        "registry:search",
        "search for registered buildpacks",
        (Arg("term", help="looked for in namespace, name and description"),),
        (
            Flag("description", help="part of the description", option=True),
            Flag("name", help="names, separated by commas", option=True),
            Flag("namespace", help="namespaces, separated by commas", option=True),
        ),
    ),
    Command(
        "buildpacks:set",
        "buildpacks:choose",
        "set a buildpack, the first unless --index says otherwise",
        (Arg("buildpack", True, BUILDPACK),),
        (*APP, INDEX, JSON_J),
    ),
    Command(
        "buildpacks:unregister",
        "registry:unregister",
        "take the name of a buildpack away (operator)",
        (Arg("buildpack", True, NAMED),),
    ),
    Command(
        "buildpacks:versions", "registry:versions", "list versions of a buildpack", (Arg("buildpack", True, NAMED),)
    ),
    Command(
        "builds",
        "builds:show",
        "list the builds of an app",
        (),
        (*APP, JSON, Flag("num", "n", "number of builds (10)", option=True, integer=True)),
        ("builds:list",),
    ),
    Command(
        "builds:cache:purge",
        "builds:purge",
        "delete the build cache of an app; its next build starts from nothing",
        (),
        (*APP, Flag("confirm", "c", "accepted, without effect: nothing is lost but time", option=True)),
    ),
    Command(
        "builds:cancel",
        "builds:cancel",
        "stop a build that waits or runs; the running release stays",
        (Arg("build", help=BUILD),),
        APP,
    ),
    Command("builds:info", "builds:info", "show a build", (Arg("build", help=BUILD),), (*APP, JSON)),
    Command(
        "builds:output",
        "builds:show_output",
        "show what a build printed, and go on until its end",
        (Arg("build", help=BUILD),),
        APP,
    ),
    Command("certs", "certs:show", "list the certificates of an app", (), APP),
    Command("certs:add", "certs:add", "add a certificate (PEM files)", PEM, APP),
    Command(
        "certs:auto",
        "certs:auto",
        "show the certificates that the platform gets by itself",
        (),
        (*APP, Flag("wait", help="until all domains have one, or failed")),
    ),
    Command("certs:auto:disable", "certs:auto_disable", "no automatic certificates any more", (), (*APP, CONFIRM_C)),
    Command(
        "certs:auto:enable",
        "certs:auto_enable",
        "have the platform get certificates for the app's domains",
        (),
        (*APP, Flag("wait", help="until all domains have one, or failed")),
    ),
    Command("certs:auto:refresh", "certs:auto_refresh", "try again now where it failed", (), APP),
    Command(
        "certs:generate",
        "certs:generate",
        "make a key with a signing request, or with a self-signed certificate",
        (Arg("domain", True),),
        (
            *APP,
            Flag("area", help="state or province of the owner", option=True),
            Flag("city", help="city of the owner", option=True),
            Flag("country", help="country of the owner, two letters", option=True),
            Flag("keysize", help="bits of the RSA key (2048)", option=True),
            Flag("now", help="do not ask for the owner"),
            Flag("owner", help="name of the owner", option=True),
            Flag("selfsigned", help="a self-signed certificate instead of a request"),
            Flag("subject", help="the whole subject", option=True),
        ),
    ),
    Command(
        "certs:info",
        "certs:info",
        "show a certificate",
        (),
        (*APP, *ENDPOINT, Flag("show-domains", help="with the domains that use it")),
    ),
    Command("certs:remove", "certs:remove", "remove a certificate", (), (*APP, CONFIRM, *ENDPOINT)),
    Command("certs:update", "certs:update", "replace a certificate (PEM files)", PEM, (*APP, CONFIRM, *ENDPOINT)),
    Command("checks", "checks:show", "show how web dynos are checked", (), (*APP, JSON)),
    Command(
        "checks:set",
        "checks:assign",
        "set ready=/path, live=/path, period=10, timeout=5 (seconds), failures=3",
        (),
        APP,
        strict=False,
    ),
    Command("checks:unset", "checks:unset", "back to the default: live, ready, …", (), APP, strict=False),
    Command("config", "config:show", "show the config vars of an app", (), (*APP, JSON_J, SHELL)),
    Command("config:edit", "config:edit", "edit config vars in $EDITOR", (Arg("key", help="only this one"),), APP),
    Command(
        "config:get", "config:get", "show one config var", (Arg("KEY", True),), (*APP, JSON_J, SHELL), strict=False
    ),
    Command("config:set", "config:assign", "set config vars: A=1 B=2", (), APP, ("config:add",), strict=False),
    Command("config:unset", "config:unset", "remove config vars", (), APP, ("config:remove",), strict=False),
    Command("doctor", "doctor:examine", "examine the platform (on its own machine, as root)", (), (JSON,)),
    Command(
        "domains",
        "domains:show",
        "list the domains of an app",
        (),
        (*APP, JSON_J),
    ),
    Command(
        "domains:add",
        "domains:add",
        "add a domain",
        (Arg("hostname", True),),
        (
            *APP,
            Flag("cert", "c", "certificate to use for it", option=True),
            JSON_J,
            Flag("wait", help="wait until the domain is ready"),
        ),
    ),
    Command("domains:clear", "domains:clear", "remove all custom domains", (), APP),
    Command("domains:info", "domains:info", "show a domain", (Arg("hostname", True),), APP),
    Command("domains:remove", "domains:remove", "remove a domain", (Arg("hostname", True),), APP),
    Command(
        "domains:update",
        "domains:update",
        "use a certificate for a domain",
        (Arg("hostname", True),),
        (*APP, Flag("cert", help="the certificate's name", option=True, required=True)),
    ),
    Command("domains:wait", "domains:wait", "wait until domains are ready", (Arg("hostname"),), APP),
    Command("drains", "drains:show", "list where the log of an app is sent to", (), (*APP, JSON)),
    Command(
        "drains:add", "drains:add", "send the log to https://, syslog+tls:// or syslog://", (Arg("url", True),), APP
    ),
    Command("drains:remove", "drains:remove", "stop sending the log there", (Arg("url", True),), APP),
    Command(
        "env",
        "environment:show",
        'print what points the official client here: eval "$(pogo env)"',
        (),
        (Flag("no-token", help="leave the login out"),),
    ),
    Command("features", "features:show", "list the features of an app", (), (*APP, JSON)),
    Command("features:disable", "features:disable", "switch a feature off", (FEATURE,), APP),
    Command("features:enable", "features:enable", "switch a feature on", (FEATURE,), APP),
    Command("features:info", "features:info", "show a feature", (FEATURE,), (*APP, JSON)),
    Command("git:clone", "git:clone", "clone an app's repository", (Arg("DIRECTORY"),), APP),
    Command("git:credentials", "git:credentials", "answer git's question", (Arg("command", True),), hidden=True),
    Command("git:remote", "git:remote", "add the git remote of an app", (), ANY_APP, strict=False),
    Command(
        "help",
        "version:help_",
        "show help of a command",
        (Arg("command"),),
        (Flag("nested-commands", "n", "include all commands"),),
        strict=False,
    ),
    Command("labs", "features:labs", "list experimental features of an app", (), (*ANY_APP, JSON)),
    Command("labs:disable", "features:disable", "switch an experimental feature off", (FEATURE,), ANY_APP),
    Command("labs:enable", "features:enable", "switch an experimental feature on", (FEATURE,), ANY_APP),
    Command("labs:info", "features:info", "show an experimental feature", (FEATURE,), (*ANY_APP, JSON)),
    Command(
        "logs",
        "logs:show",
        "show the latest log lines",
        (),
        (
            *APP,
            Flag("dyno-name", "d", "only this dyno, as web.1", option=True, also=("dyno",)),
            Flag("force-colors", help="colours even when not on a terminal"),
            Flag("no-color", help="no colours", hidden=True, excludes=("force-colors",)),
            Flag("num", "n", "number of lines (100)", option=True, integer=True),
            Flag("process-type", "p", "only this process type", option=True, excludes=("dyno-name", "ps")),
            Flag("ps", "p", "only this process type", option=True, hidden=True, excludes=("dyno-name",)),
            Flag("source", "s", "only app, or only heroku (the platform)", option=True),
            Flag("tail", "t", "go on with new lines as they come"),
        ),
    ),
    Command("maintenance", "apps:maintenance", "show whether an app is in maintenance", (), APP),
    Command("maintenance:off", "apps:maintenance_off", "end the maintenance of an app", (), APP),
    Command("maintenance:on", "apps:maintenance_on", "put an app into maintenance", (), APP),
    Command("mirror", "mirror:show", "show the proxy of builds (on the platform's machine, as root)"),
    Command(
        "mirror:log",
        "mirror:log",
        "show where builds went (on the platform's machine, as root)",
        (),
        (
            Flag("app", "a", "only builds of this app", option=True),
            Flag("num", "n", "number of lines (100)", option=True, integer=True),
            Flag("tail", "t", "go on with new lines as they come"),
        ),
    ),
    Command(
        "mirror:prefetch",
        "mirror:prefetch",
        "make runtimes before a build asks: node@22 python@3.12 (on the platform's machine, as root)",
        strict=False,
    ),
    Command("platform", "platform:show", "list the platforms you know", (), (JSON,)),
    Command(
        "platform:add",
        "platform:add",
        "remember a platform and use it",
        (Arg("url", True, "https://host or https://host:port"),),
        (
            Flag("ca", help="CA certificate of the installation (PEM)", option=True),
            Flag("email", help="whose token it is", option=True),
            Flag("git", help="git host, if it is not the usual one", option=True),
            Flag("no-switch", help="go on using the current one"),
            Flag("token", help="API token; - reads it from stdin", option=True),
        ),
    ),
    Command("platform:remove", "platform:remove", "forget a platform", (Arg("url", True),)),
    Command("platform:use", "platform:use", "use another platform from now on", (Arg("url", True),)),
    Command(
        "ps",
        "ps:show",
        "list the dynos of an app",
        (),
        (*APP, JSON, Flag("no-wrap", help="accepted, without effect: nothing is wrapped")),
        strict=False,
    ),
    Command(
        "ps:copy",
        "inside:copy",
        "copy a file out of a running dyno",
        (Arg("file", True),),
        (*APP, INSIDE, Flag("output", "o", "its name here", option=True)),
    ),
    Command(
        "ps:exec",
        "inside:execute",
        "run a command, or a shell, inside a running dyno",
        (),
        (*APP, INSIDE, Flag("status", help="list the dynos that can be gone into")),
        strict=False,
    ),
    Command(
        "ps:forward",
        "inside:forward",
        "forward local ports to a running dyno: 8080, or 9000:8080 (local:dyno), several with commas",
        (Arg("port", True),),
        (*APP, INSIDE, Flag("localPort", "p", "the local port", option=True, hidden=True)),
    ),
    Command(
        "ps:restart",
        "ps:restart",
        "restart dynos",
        (Arg("dyno", help="a dyno or a process type"),),
        (*APP, DYNO, TYPE),
        ("dyno:restart", "restart"),
    ),
    Command(
        "ps:scale",
        "ps:scale",
        "show or set how many dynos run: web=2 worker+1 web=1:basic",
        (),
        APP,
        ("dyno:scale", "scale"),
        strict=False,
    ),
    Command(
        "ps:stop",
        "ps:stop",
        "stop dynos",
        (Arg("dyno", help="a dyno or a process type"),),
        (*APP, DYNO, TYPE),
        ("dyno:stop", "ps:kill", "dyno:kill", "stop", "kill"),
    ),
    Command(
        "ps:type",
        "ps:type_",
        "show or set the size of dynos: basic, or web=standard-1x",
        (),
        APP,
        ("ps:resize", "dyno:resize", "resize", "dyno:type"),
        strict=False,
    ),
    Command(
        "ps:wait",
        "ps:wait",
        "wait until all dynos run the latest release",
        (),
        (
            *APP,
            Flag("type", "t", "only this process type", option=True),
            Flag("wait-interval", "w", "seconds between two looks (10)", option=True, integer=True),
            Flag("with-run", "R", "one-off dynos too", excludes=("type",)),
        ),
    ),
    Command(
        "releases",
        "releases:show",
        "list the releases of an app",
        (),
        (*APP, JSON, Flag("num", "n", "number of releases (15)", option=True, integer=True)),
    ),
    Command("releases:info", "releases:info", "show a release", (Arg("release", help="v12"),), (*APP, JSON, SHELL)),
    Command("releases:output", "releases:show_output", "show what a release command printed", (Arg("release"),), APP),
    Command(
        "releases:rollback",
        "releases:rollback",
        "go back to a release",
        (Arg("release", help="v12"),),
        APP,
        ("rollback",),
    ),
    Command("router", "router_settings:show", "show how the router treats an app's requests", (), (*APP, JSON)),
    Command(
        "router:metrics",
        "router:metrics",
        "show requests of the last day: rate, statuses, service times",
        (),
        (
            *APP,
            JSON,
            Flag("minutes", "m", "how far back, up to 1440 (60)", option=True, integer=True),
            Flag("step", help="minutes in one row", option=True, integer=True),
        ),
    ),
    Command("router:set", "router_settings:assign", "set name=value …, as idle_timeout=60", (), APP, strict=False),
    Command("router:unset", "router_settings:unset", "back to the default: basic_auth, …", (), APP, strict=False),
    Command(
        "run",
        "run:attach",
        "run a command in a one-off dyno, attached to this terminal",
        (),
        (
            *RUN_FLAGS,
            Flag("exit-code", "x", "accepted: the exit status is always passed on"),
            Flag("no-notify", help="accepted, without effect: there are no notifications"),
            Flag("no-tty", help="no terminal, as with a pipe"),
        ),
        strict=False,
    ),
    Command(
        "run:detached",
        "run:detach",
        "run a command in a one-off dyno in the background",
        (),
        (*RUN_FLAGS, Flag("tail", "t", "show its log")),
        strict=False,
    ),
    Command(
        "run:inside",
        "inside:run",
        "run a command inside a running dyno",
        (Arg("dyno_name", True), Arg("command", True)),
        (
            *APP,
            Flag("exit-code", "x", "accepted: the exit status is always passed on"),
            Flag("no-launcher", help="accepted, without effect: there is no launcher here"),
        ),
        strict=False,
    ),
    Command(
        "stack:build",
        "stacks:build",
        "build a stack image (on the platform's machine, as root)",
        (Arg("name", True),),
        (Flag("fresh", help="anew, with Debian's updates of today, though nothing is missing"),),
    ),
    Command(
        "version", "version:show", "print the version", (), (JSON, Flag("verbose", help="with the Python it runs on"))
    ),
)


def by_name() -> dict[str, Command]:
    """Every command by its id and by each alias."""
    return {name: command for command in COMMANDS for name in (command.id, *command.aliases)}
