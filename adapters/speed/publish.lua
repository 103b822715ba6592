-- Writes the readable counts of a view. KEYS: counts, view.
-- ARGV: the incarnation of the view, the sum of all offsets, "all" where nothing of what is there stays, how many fields
--   follow with their values; then those, then the fields that go.
-- Answers 1; 0 where another incarnation has begun, or somebody who has counted more has written.
if redis.call('HGET', KEYS[2], 'born') ~= ARGV[1] then return 0 end
local there = tonumber(redis.call('HGET', KEYS[1], 'counted') or '-1')
if ARGV[3] == 'all' then
  redis.call('DEL', KEYS[1])
elseif not there or there > tonumber(ARGV[2]) or there < 0 then
  return 0
end
local last = 4 + 2 * tonumber(ARGV[4])
for i = 5, last, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = last + 1, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
return 1
