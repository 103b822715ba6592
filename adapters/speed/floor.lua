-- Raises the floor and removes a bounded number of epochs below it.
-- KEYS[1]: the namespace. ARGV: the new floor, the number of hashes to remove at most.
-- Answers how many it removed: fewer than asked for means that none is left.
local ns = KEYS[1]
local floor = tonumber(redis.call('GET', ns .. ':floor') or '0')
if tonumber(ARGV[1]) > floor then
  floor = tonumber(ARGV[1])
  redis.call('SET', ns .. ':floor', string.format('%.0f', floor))
end
local covered = redis.call('ZRANGEBYSCORE', ns .. ':epochs', '-inf', '(' .. string.format('%.0f', floor), 'LIMIT', 0, ARGV[2])
for _, name in ipairs(covered) do
  redis.call('DEL', ns .. ':cells:' .. name, ns .. ':users:' .. name)
  redis.call('ZREM', ns .. ':epochs', name)
  redis.call('ZREM', ns .. ':changed', name)
end
return #covered
