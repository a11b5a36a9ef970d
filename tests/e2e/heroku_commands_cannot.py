"""Commands that do not work here, by the reason; and those that other tests go through."""

from __future__ import annotations

_EMPTY_HANDED = "Add-ons, and with them databases, are not there yet; the command is refused with a clear message."
_SPACES = "There are no private spaces: one installation is one network."
_GITHUB = "It asks kolkrabbi.heroku.com or GitHub, whose names are fixed in the client."
_FIXED = "It asks a host of Heroku's whose name is fixed in the client, with your token: do not run it."
_DOCKER = "It needs a local Docker and the host name registry.<HEROKU_HOST>, which cannot be made of an address."
_WEB = "It only opens a page of Heroku's."

CANNOT: dict[str, str] = {
    _EMPTY_HANDED: """
        addons:attach addons:create addons:destroy addons:detach addons:docs addons:info addons:open addons:plans
        addons:rename addons:upgrade addons:wait
        data:maintenances:history data:maintenances:info data:maintenances:run data:maintenances:schedule
        data:maintenances:wait data:maintenances:window data:maintenances:window:update data:pg:attachments
        data:pg:attachments:create data:pg:attachments:destroy data:pg:create data:pg:credentials
        data:pg:credentials:create data:pg:credentials:destroy data:pg:credentials:rotate data:pg:credentials:url
        data:pg:destroy data:pg:fork data:pg:info data:pg:levels data:pg:migrate data:pg:psql data:pg:quotas
        data:pg:quotas:update data:pg:settings data:pg:update data:pg:upgrade:run data:pg:upgrade:wait data:pg:wait
        pg:backups:cancel pg:backups:capture pg:backups:delete pg:backups:download pg:backups:info pg:backups:restore
        pg:backups:schedule pg:backups:schedules pg:backups:unschedule pg:backups:url pg:bloat pg:blocking pg:cache-hit
        pg:calls pg:connection-pooling:attach pg:copy pg:credentials pg:credentials:create pg:credentials:destroy
        pg:credentials:repair-default pg:credentials:rotate pg:credentials:url pg:extensions pg:fdwsql
        pg:index-size pg:index-usage pg:kill pg:killall pg:links pg:links:create pg:links:destroy pg:locks
        pg:long-running-queries pg:mandelbrot pg:outliers pg:promote pg:ps pg:psql pg:pull pg:push pg:records-rank
        pg:reset pg:seq-scans pg:settings pg:settings:auto-explain pg:settings:auto-explain:log-analyze
        pg:settings:auto-explain:log-buffers pg:settings:auto-explain:log-format
        pg:settings:auto-explain:log-min-duration pg:settings:auto-explain:log-nested-statements
        pg:settings:auto-explain:log-triggers pg:settings:auto-explain:log-verbose
        pg:settings:data-connector-details-logs pg:settings:log-connections pg:settings:log-lock-waits
        pg:settings:log-min-duration-statement pg:settings:log-min-error-statement pg:settings:log-statement
        pg:settings:track-functions pg:stats-reset pg:table-indexes-size pg:table-size pg:total-index-size
        pg:total-table-size pg:unfollow pg:unused-indexes pg:upgrade:cancel pg:upgrade:dryrun pg:upgrade:prepare
        pg:upgrade:run pg:upgrade:wait pg:user-connections pg:vacuum-stats pg:wait
        redis:cli redis:credentials redis:keyspace-notifications redis:maxmemory redis:promote redis:stats-reset
        redis:timeout redis:upgrade redis:wait
    """,
    _SPACES: """
        spaces:create spaces:destroy spaces:drains:get spaces:drains:set spaces:hosts spaces:info spaces:peerings
        spaces:peerings:accept spaces:peerings:destroy spaces:peerings:info spaces:ps spaces:rename spaces:topology
        spaces:transfer spaces:trusted-ips spaces:trusted-ips:add spaces:trusted-ips:remove spaces:vpn:config
        spaces:vpn:connect spaces:vpn:connections spaces:vpn:destroy spaces:vpn:info spaces:vpn:update spaces:vpn:wait
        spaces:wait
    """,
    _GITHUB: """
        ci:debug ci:info ci:last ci:rerun ci:run pipelines:connect pipelines:diff pipelines:setup reviewapps:create
        reviewapps:disable reviewapps:enable
    """,
    "It waits for a review app that the CLI itself cannot create without GitHub; over the API, review apps work.": """
        reviewapps:wait
    """,
    _FIXED: """
        apps:errors apps:favorites apps:favorites:add apps:favorites:remove dashboard notifications
        pg:diagnose ps:autoscale:disable ps:autoscale:enable
    """,
    _DOCKER: """
        container:login container:logout container:pull container:push container:release container:rm container:run
    """,
    _WEB: "auth:2fa:disable ci:open data:pg:docs orgs:open",
    "There are no telemetry drains; log drains do the job of one signal.": (
        "telemetry:add telemetry:info telemetry:remove telemetry:update"
    ),
    "It starts a second npm package, which npm does not install along with the CLI.": "mcp:start",
}

#: Commands that ask questions or run on: the test that answers them.
ELSEWHERE = {
    "auth:login": "test_heroku_accounts.py::test_login_with_two_factors",
    "auth:logout": "test_heroku_accounts.py::test_login_in_a_browser",
    "ps:copy": "test_heroku_cli.py::test_inside_a_running_dyno",
    "ps:exec": "test_heroku_cli.py::test_inside_a_running_dyno",
    "ps:forward": "test_heroku_cli.py::test_inside_a_running_dyno",
    "ps:socks": "test_heroku_cli.py::test_inside_a_running_dyno",
    "sessions:destroy": "test_heroku_accounts.py::test_login_with_two_factors",
}
