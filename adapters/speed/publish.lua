-- Writes the readable counts of a view. KEYS: counts, view.
-- ARGV: the incarnation of the view, the name of the writer, "all" where nothing of what is there stays, how many fields
--   follow with their values; then those, then the fields that go.
-- Answers 1; 0 where another incarnation has begun, or where another writer wrote what "changed" is to be added to.
if redis.call('HGET', KEYS[2], 'born') ~= ARGV[1] then return 0 end
if ARGV[3] == 'all' then
  redis.call('DEL', KEYS[1])
elseif redis.call('HGET', KEYS[1], 'writer') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'writer', ARGV[2])
local last = 4 + 2 * tonumber(ARGV[4])
for i = 5, last, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = last + 1, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
return 1
