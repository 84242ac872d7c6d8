-- writes.lua -- wrk: every request sets a cart line's quantity anew, a durable write each.
wrk.method = "PATCH"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")

local n = 0
function request()
    n = n % 9 + 1
    return wrk.format(nil, nil, nil, '{"quantity":' .. n .. '}')
end

function done(summary, latency)
    io.write(string.format("%.0f requests/s, p50 %.1f ms, p99 %.1f ms, %d not 2xx\n",
        summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        summary.errors.status))
end
