-- Stores the outcome of a check. KEYS: the record, the ids of the namespace. ARGV: id, problem
-- (empty if it passed), registration time of the checked instance, failures until unhealthy,
-- passes until healthy, retention of the record beyond its lease in ms, intervals in a lease.
-- Returns the time, the record before and the record after, or nothing if the instance is gone.
local fields = {'message', 'interval', 'registered', 'heartbeat', 'said', 'left',
  'draining', 'checked', 'problem'}
local before = redis.call('HMGET', KEYS[1], unpack(fields))
if not before[1] or before[6] == '1' or before[3] ~= ARGV[3] then
  return false
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local checked = before[8]
if ARGV[2] == '' then
  local passes = redis.call('HINCRBY', KEYS[1], 'passes', 1)
  if passes >= tonumber(ARGV[5]) then checked = '1' end
  local keep = string.format('%.0f', before[2] * ARGV[7] + ARGV[6])
  redis.call('HSET', KEYS[1], 'failures', '0', 'heartbeat', now)
  redis.call('PEXPIRE', KEYS[1], keep)
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + keep * 1000), ARGV[1])
else
  local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
  checked = failures >= tonumber(ARGV[4]) and '3' or '2'
  redis.call('HSET', KEYS[1], 'passes', '0')
end
redis.call('HSET', KEYS[1], 'checked', checked, 'problem', ARGV[2])
return {now, before, redis.call('HMGET', KEYS[1], unpack(fields))}
