-- A request for an app whose dynos are starting (H20) waits for the first of them, or for another verdict.
-- Heroku: up to 75 seconds, https://devcenter.heroku.com/articles/error-codes#h20-app-boot-timeout
local refusals = Map.new("@REFUSALS@", Map._str)

core.register_action("wait_for_dyno", { "http-req" }, function(txn)
    local backend = txn:get_var("txn.backend")
    local last = core.now().sec + @SECONDS@
    repeat
        core.msleep(@PAUSE_MS@)
        local refusal = refusals:lookup(backend)
        if refusal == nil then
            txn:unset_var("txn.refusal")
            return
        elseif refusal ~= "H20" then
            txn:set_var("txn.refusal", refusal)
            return
        end
    until core.now().sec >= last
end)
