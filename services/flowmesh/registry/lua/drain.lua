-- Takes an instance out of service, or back in. KEYS: the record. ARGV: '1' or '0'.
-- Returns the time and the record, or nothing if there is no such instance.
local left = redis.call('HGET', KEYS[1], 'left')
if not left or left == '1' then
  return false
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'draining', ARGV[1])
return {string.format('%.0f', time[1] * 1000000 + time[2]), redis.call('HMGET', KEYS[1],
  'message', 'interval', 'registered', 'heartbeat', 'said', 'left',
  'draining', 'checked', 'problem')}
