-- Raises the floor and removes a bounded number of epochs below it.
-- ARGV: the new floor, the number of hashes to remove at most.
-- Answers how many it removed: fewer than asked for means that none is left.
if damaged then return 0 end
if tonumber(ARGV[1]) > floor then
  floor = tonumber(ARGV[1])
  redis.call('HSET', META, 'floor', text(floor))
end
local covered = redis.call('ZRANGEBYSCORE', EPOCHS, '-inf', '(' .. text(floor), 'LIMIT', 0, ARGV[2])
if #covered > 0 then redis.call('HINCRBY', META, 'parts', -#covered) end
for _, name in ipairs(covered) do
  redis.call('DEL', cells_of(name), users_of(name))
  redis.call('ZREM', EPOCHS, name)
  redis.call('ZREM', CHANGED, name)
end
return #covered
