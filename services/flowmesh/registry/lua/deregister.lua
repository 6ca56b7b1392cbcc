-- Removes an instance; its record stays readable. KEYS: the record, the ids of the namespace.
-- ARGV: id, retention of the record in ms. Returns 1 if something changed, else 0.
local left = redis.call('HGET', KEYS[1], 'left')
if not left or left == '1' then
  return 0
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'left', '1')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2],
  string.format('%.0f', time[1] * 1000000 + time[2] + ARGV[2] * 1000), ARGV[1])
return 1
