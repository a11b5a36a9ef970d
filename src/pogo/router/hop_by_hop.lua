-- What the Connection header names concerns this hop alone, and goes no further (RFC 9110, 7.6.1).
-- Called only where it names something unusual. It must not name what frames or addresses the request.
local kept = {
    ["close"] = true, ["keep-alive"] = true, ["upgrade"] = true, ["host"] = true, ["content-length"] = true,
    ["transfer-encoding"] = true, ["trailer"] = true, ["expect"] = true,
}

core.register_action("strip_hop_by_hop", { "http-req" }, function(txn)
    local found = txn.http:req_get_headers()["connection"]
    local upgrade = false
    for _, value in pairs(found or {}) do
        for name in value:lower():gmatch("[^%s,]+") do
            upgrade = upgrade or name == "upgrade"
            if not kept[name] then
                txn.http:req_del_header(name)
            end
        end
    end
    txn.http:req_set_header("connection", upgrade and "upgrade" or "keep-alive")
end)
