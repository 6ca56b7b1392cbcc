-- Adds counts of calls to a minute. KEYS: the minute. ARGV: maximum of pairs, retention in ms, then
-- per pair: its name, calls, errors, number of durations, index and count of each.
-- Returns the number of pairs that were not counted.
local pairs_known = tonumber(redis.call('HGET', KEYS[1], '#') or '0')
local dropped = 0
local i = 3
while i <= #ARGV do
  local name, calls, errors, durations = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local known = redis.call('HEXISTS', KEYS[1], name .. '\0c') == 1
  if not known and pairs_known >= tonumber(ARGV[1]) then
    dropped = dropped + 1
  else
    if not known then pairs_known = redis.call('HINCRBY', KEYS[1], '#', 1) end
    redis.call('HINCRBY', KEYS[1], name .. '\0c', calls)
    redis.call('HINCRBY', KEYS[1], name .. '\0e', errors)
    for d = 1, durations do
      redis.call('HINCRBY', KEYS[1], name .. '\0' .. ARGV[i + 2 + 2 * d], ARGV[i + 3 + 2 * d])
    end
  end
  i = i + 4 + 2 * durations
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return dropped
