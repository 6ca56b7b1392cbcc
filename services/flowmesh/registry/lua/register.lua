-- Adds or replaces an instance. KEYS: its record, the ids of the namespace.
-- ARGV: id, message, interval in ms, retention of the record in ms, the part of it beyond its
-- lease in ms, maximum of instances per namespace.
-- Returns the time in microseconds, or nothing if the namespace is full of live instances.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if not redis.call('ZSCORE', KEYS[2], ARGV[1])
    and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then
  -- If full, remove the instance that has been offline for the longest time.
  local lease_over = string.format('%.0f', now + ARGV[5] * 1000)
  local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', lease_over, 'LIMIT', 0, 1)[1]
  if not gone then
    return false
  end
  redis.call('ZREM', KEYS[2], gone)
  redis.call('DEL', KEYS[2] .. '/' .. gone)
end
redis.call('HSET', KEYS[1], 'message', ARGV[2], 'interval', ARGV[3],
  'registered', now, 'heartbeat', now, 'said', '0', 'left', '0',
  'draining', '0', 'checked', '0', 'problem', '', 'failures', '0', 'passes', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[4] * 1000), ARGV[1])
return now
