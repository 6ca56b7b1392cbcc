-- Sets the next time of a check. KEYS: the due times of checks. ARGV: namespace and id, time from
-- now in ms, or -1 to end the checks.
if ARGV[2] == '-1' then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
local time = redis.call('TIME')
return redis.call('ZADD', KEYS[1],
  time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
