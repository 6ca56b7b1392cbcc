-- Renews a lease. KEYS: the record, the ids of the namespace. ARGV: id, reported status,
-- retention of the record beyond its lease in ms, intervals in a lease.
-- Returns the previous record and the time, or nothing if there is no such instance.
local record = redis.call('HMGET', KEYS[1],
  'message', 'interval', 'registered', 'heartbeat', 'said', 'left',
  'draining', 'checked', 'problem')
if not record[1] or record[6] == '1' then
  return false
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local keep = string.format('%.0f', record[2] * ARGV[4] + ARGV[3])
redis.call('HSET', KEYS[1], 'heartbeat', now, 'said', ARGV[2])
redis.call('PEXPIRE', KEYS[1], keep)
redis.call('ZADD', KEYS[2], string.format('%.0f', now + keep * 1000), ARGV[1])
return {now, record}
