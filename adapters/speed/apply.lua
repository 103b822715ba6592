-- Applies a step at most once: compares every position with what the writer last knew, adds all cells,
-- and moves the positions last, in one atomic call. Where a command fails, what was added is taken back.
-- ARGV[1]: MessagePack [moves, floor, parts, incarnation, candidate, start]
--   moves  [[partition, old, new], ...]
--   parts  [[epoch, minute or "q", [field, number, ...], [user, ...]], ...]
--   incarnation  of the view as the writer knows it; "": whichever there is, or `candidate` if there is none
--   start  of the job version that the writer counts for; "" where it has none
-- Answers "applied", "already", "conflict <why>", or {"failed", key, field, message}.
local step = cmsgpack.unpack(ARGV[1])
-- a worker that has not heard of it must not begin the view anew
if retired(step[6]) then return 'conflict retired -' end
if damaged then return 'conflict damaged ' .. damaged end
local moves, steps_parts, incarnation = step[1], step[3], step[4]
if incarnation ~= '' and incarnation ~= born then return 'conflict begun-again -' end
born = born or step[5]

local same, first = 0, 0
for _, move in ipairs(moves) do
  local found = redis.call('HGET', POSITIONS, move[1]) or ''
  if found == move[3] then
    same = same + 1
  elseif found ~= move[2] then
    return 'conflict ' .. move[1] .. ' ' .. found
  end
  if found == '' then first = first + 1 end
end
if same == #moves then return 'already' end
if same > 0 then return 'conflict some-moved-already -' end

if step[2] > floor then floor = step[2] end
-- Changes are numbered by the clock, so that numbers go on growing if the store comes back empty.
local time = redis.call('TIME')
local number = time[1] * 1000000 + time[2]
if number <= change then number = change + 1 end
if number >= 2 ^ 53 then return {'failed', META, 'change', 'ERR the number of the last change is past 2^53'} end
number = text(number)

local work, begun = {}, 0
for _, part in ipairs(steps_parts) do
  local epoch, minute, fields, users = part[1], part[2], part[3], part[4]
  if epoch >= floor then
    local name = text(epoch) .. ':' .. (type(minute) == 'number' and text(minute) or minute)
    local known = redis.call('ZSCORE', EPOCHS, name)
    if known then
      for _, pair in ipairs({{cells_of(name), 'hash'}, has_users(name) and {users_of(name), 'string'} or nil}) do
        local kind = redis.call('TYPE', pair[1]).ok
        if kind == 'none' then return 'conflict damaged ' .. damage(pair[1]) end
        if kind ~= pair[2] then return {'foreign', pair[1], kind} end
      end
      -- before it is hidden by what is added
      if unsealed(cells_of(name)) then return 'conflict damaged ' .. damage(cells_of(name)) end
    else
      begun = begun + 1
    end
    work[#work + 1] = {name, epoch, known, fields, users}
  end
end

-- How far it came: the key and field at work, parts that were begun, and cells that were added.
local key, field, opened, part_at, field_at = META, '', 0, 0, 0

local function write()
  redis.call('HSET', META, 'change', number)
  -- what taking back needs: whoever may not do it finds out before anything is added
  redis.call('ZREM', EPOCHS, '')
  redis.call('DEL', ns .. ':none')
  -- Sketches first: a user who is added twice counts once.
  for i, part in ipairs(work) do
    local name, known, users = part[1], part[3], part[5]
    opened = i
    key = users_of(name)
    -- what is left of a view that lost its account of them
    if not known then redis.call('DEL', cells_of(name), key) end
    if has_users(name) then
      redis.call('PFADD', key)
      for first_user = 1, #users, 1000 do
        redis.call('PFADD', key, unpack(users, first_user, math.min(first_user + 999, #users)))
      end
    end
    key = EPOCHS
    if not known then redis.call('ZADD', EPOCHS, part[2], name) end
    key = CHANGED
    redis.call('ZADD', CHANGED, number, name)
  end
  for i, part in ipairs(work) do
    local fields = part[4]
    key, part_at, field_at = cells_of(part[1]), i, 0
    for n = 1, #fields, 2 do
      field = fields[n]
      redis.call('HINCRBY', key, field, fields[n + 1])
      field_at = n
    end
  end
  field = ''
  for _, part in ipairs(work) do seal(cells_of(part[1])) end
  -- A bounded number at a time: readers leave out what is below the floor anyhow.
  local expired = redis.call('ZRANGEBYSCORE', EPOCHS, '-inf', '(' .. text(floor), 'LIMIT', 0, 200)
  for _, name in ipairs(expired) do
    redis.call('DEL', cells_of(name), users_of(name))
    redis.call('ZREM', EPOCHS, name)
    redis.call('ZREM', CHANGED, name)
  end
  key = META
  redis.call('HSET', META, 'born', born, 'floor', text(floor), 'positions', positions + first, 'parts', parts + begun - #expired)
  key = POSITIONS
  for _, move in ipairs(moves) do redis.call('HSET', POSITIONS, move[1], move[3]) end
end

local function take_back()
  for i = 1, opened do
    local name, known, fields = work[i][1], work[i][3], work[i][4]
    if not known then
      redis.call('DEL', cells_of(name), users_of(name))
      redis.call('ZREM', EPOCHS, name)
      redis.call('ZREM', CHANGED, name)
    elseif i <= part_at then
      for n = 1, i < part_at and #fields or field_at, 2 do
        local added = fields[n + 1]
        local back = type(added) == 'number' and -added or ('-' .. added)
        -- integers that need text are never negative; a cell that was not there is none again
        if redis.call('HINCRBY', cells_of(name), fields[n], back) == 0 and tonumber(added) ~= 0 then
          redis.call('HDEL', cells_of(name), fields[n])
        end
      end
      seal(cells_of(name))
    end
  end
end

local applied, problem = pcall(write)
if applied then return 'applied' end
if type(problem) == 'table' then problem = problem.err end
if not pcall(take_back) then
  -- half of a step must never be read: the view is counted again from the log
  damage(key)
end
return {'failed', key, field, problem}
