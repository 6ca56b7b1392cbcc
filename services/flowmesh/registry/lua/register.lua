-- Adds or replaces an instance. KEYS: its record, the namespace's ids.
-- ARGV: id, message, interval in ms, ms to keep the record, most instances of the namespace.
-- Answers the time in microseconds, or nothing when the namespace is full.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if not redis.call('ZSCORE', KEYS[2], ARGV[1])
    and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then
  return false
end
redis.call('HSET', KEYS[1], 'message', ARGV[2], 'interval', ARGV[3],
  'registered', now, 'heartbeat', now, 'said', '0', 'left', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[4] * 1000), ARGV[1])
return now
