-- Applies a step at most once: compares the position with what the writer last knew, and moves it together with
-- what is added, which is one entry of the log.
-- An entry names the one before it (`p`), so that readers see whether they missed any.
-- ARGV: opened, old position, new position, id of the entry, cells, users, floor, bound
--   cells, users  as in increments.py; both empty: nothing is added
--   bound  what no total's absolute value is above
-- Answers "applied", "already", "conflict <why>", or {"failed", key, message}.
if not opened then return 'conflict gone' end
if damaged then return 'conflict damaged ' .. damage(damaged) end
if opened ~= ARGV[1] then return 'conflict opened-again' end
if position == ARGV[3] then return 'already' end
if position ~= ARGV[2] then return 'conflict ' .. position end
local bound = account[11] or '0'
local adds = ARGV[5] ~= '' or ARGV[6] ~= ''
-- The position first: where there is no room, this is refused, and what follows is not asked again.
redis.call('HSET', STATE, 'position', ARGV[3], 'bound', ARGV[8], 'last', adds and ARGV[4] or last,
  'entries', text(entries + (adds and 1 or 0)), 'floor', text(math.max(floor, tonumber(ARGV[7]))))
if adds then
  local added = redis.pcall('XADD', LOG, ARGV[4], 'p', last, 'c', ARGV[5], 'u', ARGV[6])
  if type(added) == 'table' and added.err then
    if ARGV[2] == '' then redis.call('HDEL', STATE, 'position') else redis.call('HSET', STATE, 'position', ARGV[2]) end
    redis.call('HSET', STATE, 'entries', text(entries), 'last', last, 'floor', text(floor), 'bound', bound)
    return {'failed', LOG, added.err}
  end
end
return 'applied'
