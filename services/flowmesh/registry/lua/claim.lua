-- Claims due checks, so that no other process makes them meanwhile. KEYS: the due times of checks
-- by namespace and id. ARGV: maximum of claims, time of a claim in ms.
-- Returns the time until the next check is due in ms (-1 without any), and the claimed ones.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, each in ipairs(due) do
  redis.call('ZADD', KEYS[1], now + ARGV[2], each)
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {first[2] and math.max(0, first[2] - now) or -1, due}
