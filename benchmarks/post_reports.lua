-- What wrk sends: each request is a report about a citizen of its own. The arguments are the path, the first
-- citizen's last eleven digits, and the token of whoever reports; none if absent. One thread only: a second one would send the same citizens.
-- They are of a day on which the unit that has the code is the one that has it now: a recorder's right is over that.

local path, citizen

function init(args)
   path, citizen = args[1], tonumber(args[2])
   wrk.headers["Content-Type"] = "application/json"
   if args[3] then
      wrk.headers["Authorization"] = "Bearer " .. args[3]
   end
end

function request()
   citizen = (citizen + 1) % 100000000000
   local body = string.format(
      '{"key":"co-%011d","type":"collected","citizen":"9%011d","level":2,"unit":"14758",' ..
      '"occurred_at":"2025-12-09T21:15:00+07:00","actor":"th-14758-04","place":"culture_house",' ..
      '"partner":"youth_union","residence_unit":"14758"}', citizen, citizen)
   return wrk.format("POST", path, nil, body)
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,"not_2xx":%d,"broken":%d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      latency.max / 1e3, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
