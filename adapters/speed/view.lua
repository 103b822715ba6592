-- What every script of a view begins with: the view's own account of its keys (`meta`), and whether
-- they are all there. KEYS[1]: the namespace, a hash tag such as {v1}: all keys of a view are in one slot.
-- `damaged` names the first key that is missing, and is false where none is.
local ns = KEYS[1]
local META, POSITIONS, EPOCHS, CHANGED = ns .. ':meta', ns .. ':positions', ns .. ':epochs', ns .. ':changed'
for _, pair in ipairs({{META, 'hash'}, {POSITIONS, 'hash'}, {EPOCHS, 'zset'}, {CHANGED, 'zset'}}) do
  local kind = redis.call('TYPE', pair[1]).ok
  if kind ~= pair[2] and kind ~= 'none' then return {'foreign', pair[1], kind} end
end

local function text(number) return string.format('%.0f', number) end
local function cells_of(name) return ns .. ':cells:' .. name end
local function users_of(name) return ns .. ':users:' .. name end
-- In each hash of cells: how many fields it has with this one, so that one that vanishes is noticed.
local FIELDS = '#'
local function seal(key)
  local more = redis.call('HGET', key, FIELDS) and 0 or 1
  redis.call('HSET', key, FIELDS, redis.call('HLEN', key) + more)
end
local function unsealed(key)
  local fields = redis.call('HGET', key, FIELDS)
  return fields and tonumber(fields) ~= redis.call('HLEN', key)
end
-- Quality counters have no sketch of users; every minute has one.
local function has_users(name) return string.sub(name, -2) ~= ':q' end

local account = redis.call('HMGET', META, 'born', 'floor', 'change', 'positions', 'parts', 'damaged')
local born, floor, change = account[1], tonumber(account[2] or '0'), tonumber(account[3] or '0')
local positions, parts = tonumber(account[4] or '0'), tonumber(account[5] or '0')
local damaged = account[6]
if not damaged then
  local found = redis.call('HLEN', POSITIONS)
  local epochs, changed = redis.call('ZCARD', EPOCHS), redis.call('ZCARD', CHANGED)
  if not (floor and change and positions and parts) or (not born and found + epochs + changed > 0)
    or (positions > 0 and not (account[2] and account[3])) then
    damaged = 'meta'
  elseif found ~= positions then
    damaged = 'positions'
  elseif epochs ~= parts then
    damaged = 'epochs'
  elseif changed ~= parts then
    damaged = 'changed'
  end
end
-- Workers and readers of a view that lost a key see it from here on, until it is begun again.
local function damage(key)
  redis.call('HSET', META, 'damaged', key)
  return key
end

-- Whether the view was removed; also where its name was given to a later job version since `start`.
local function retired(start)
  if redis.call('EXISTS', ns .. ':retired') == 1 then return true end
  local known = redis.call('GET', ns .. ':started')
  return start ~= '' and known and known ~= start
end

