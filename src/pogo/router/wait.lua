-- Requests that wait, rather than fail. No other request comes here.
local refusals = Map.new("@REFUSALS@", Map._str)

-- Ever less often, since thousands may wait.
local function pause(began)
    core.msleep(math.min(500, @PAUSE_MS@ * (1 + core.now().sec - began)))
end

-- For an app whose dynos are starting (H20): for the first of them, or for another verdict.
-- Heroku: up to 75 seconds, https://devcenter.heroku.com/articles/error-codes#h20-app-boot-timeout
core.register_action("wait_for_dyno", { "http-req" }, function(txn)
    local backend = txn:get_var("txn.backend")
    local began = core.now().sec
    repeat
        pause(began)
        local refusal = refusals:lookup(backend)
        if refusal == nil then
            txn:unset_var("txn.refusal")
            return
        elseif refusal ~= "H20" then
            txn:set_var("txn.refusal", refusal)
            return
        end
    until core.now().sec - began >= @SECONDS@
end)

-- For a router that has just been started: until pogod has brought the last of the routes.
core.register_action("wait_for_routes", { "http-req" }, function()
    local began = core.now().sec
    repeat
        pause(began)
    until refusals:lookup("complete") or core.now().sec - began >= @ROUTES_SECONDS@
end)
