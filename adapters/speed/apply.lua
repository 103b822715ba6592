-- Applies a step at most once: compares every position with what the writer last knew, then moves
-- all of them and adds all cells, in one atomic call.
-- KEYS[1]: the namespace, a hash tag such as {v1}: all keys of a view are in one slot.
-- ARGV[1]: MessagePack [moves, floor, parts]
--   moves  [[partition, old, new], ...]
--   parts  [[epoch, minute or "q", [field, number, ...], [user, ...]], ...]
-- Answers "applied", "already" or "conflict <partition> <position found>".
local ns = KEYS[1]
-- the view was removed: a worker that has not heard of it must not begin it anew
if redis.call('EXISTS', ns .. ':retired') == 1 then return 'conflict retired -' end
local step = cmsgpack.unpack(ARGV[1])
local moves, parts = step[1], step[3]
local positions = ns .. ':positions'

local same = 0
for _, move in ipairs(moves) do
  local found = redis.call('HGET', positions, move[1]) or ''
  if found == move[3] then
    same = same + 1
  elseif found ~= move[2] then
    return 'conflict ' .. move[1] .. ' ' .. found
  end
end
if same == #moves then return 'already' end
if same > 0 then return 'conflict some-moved-already -' end

for _, move in ipairs(moves) do redis.call('HSET', positions, move[1], move[3]) end

local floor = tonumber(redis.call('GET', ns .. ':floor') or '0')
if step[2] > floor then
  floor = step[2]
  redis.call('SET', ns .. ':floor', floor)
end

-- Changes are numbered by the clock, so that numbers go on growing if the store comes back empty.
local time = redis.call('TIME')
local number = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', ns .. ':change') or '0')
if number <= last then number = last + 1 end
number = string.format('%.0f', number)
redis.call('SET', ns .. ':change', number)
-- The first change of a view names it: a reader tells it from one that was emptied and begun again.
if last == 0 then redis.call('SET', ns .. ':born', number) end

for _, part in ipairs(parts) do
  local epoch, minute, fields, users = part[1], part[2], part[3], part[4]
  if epoch >= floor then
    local name = string.format('%.0f:', epoch) .. (type(minute) == 'number' and string.format('%.0f', minute) or minute)
    local key = ns .. ':cells:' .. name
    for i = 1, #fields, 2 do redis.call('HINCRBY', key, fields[i], fields[i + 1]) end
    for i = 1, #users, 1000 do
      redis.call('PFADD', ns .. ':users:' .. name, unpack(users, i, math.min(i + 999, #users)))
    end
    redis.call('ZADD', ns .. ':epochs', epoch, name)
    redis.call('ZADD', ns .. ':changed', number, name)
  end
end

-- A bounded number at a time: readers leave out what is below the floor anyhow.
local expired = redis.call('ZRANGEBYSCORE', ns .. ':epochs', '-inf', '(' .. string.format('%.0f', floor), 'LIMIT', 0, 200)
for _, name in ipairs(expired) do
  redis.call('DEL', ns .. ':cells:' .. name, ns .. ':users:' .. name)
  redis.call('ZREM', ns .. ':epochs', name)
  redis.call('ZREM', ns .. ':changed', name)
end
return 'applied'
