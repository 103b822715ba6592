-- Enters partitions into a view. KEYS: view. ARGV: its incarnation, then the fields.
-- Answers 1, or 0 where another incarnation has begun.
if redis.call('HGET', KEYS[1], 'born') ~= ARGV[1] then return 0 end
for i = 2, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], 1) end
local found = 0
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 10) == 'partition:' then found = found + 1 end
end
redis.call('HSET', KEYS[1], 'partitions', found)
return 1
