-- Returns the time and the records of a namespace atomically. KEYS: the ids of the namespace.
-- ARGV: prefix of the record keys, then the requested ids; without ids, all are returned.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local ids = {}
if #ARGV > 1 then
  for i = 2, #ARGV do ids[i - 1] = ARGV[i] end
else
  ids = redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')
end
local records = {}
for _, id in ipairs(ids) do
  local record = redis.call('HMGET', ARGV[1] .. id,
    'message', 'interval', 'registered', 'heartbeat', 'said', 'left',
    'draining', 'checked', 'problem')
  if record[1] then records[#records + 1] = record end
end
return {now, records}
