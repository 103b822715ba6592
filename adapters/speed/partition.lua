-- What every script of a partition begins with: the partition's own account of its keys (`state`), and whether
-- they are all there. KEYS: state, log, totals, blocks; all in one slot.
-- `opened` is false where the partition was never opened, or its state is gone. `damaged` names what is missing,
-- and is false where nothing is.
local STATE, LOG, TOTALS, BLOCKS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local account = redis.call('HMGET', STATE, 'opened', 'position', 'entries', 'totals', 'blocks', 'merged', 'damaged', 'last', 'floor', 'merges', 'bound')
local opened, position, merged, damaged, last = account[1], account[2] or '', account[6], account[7], account[8]
local floor = tonumber(account[9] or '0') or 0
local entries, totals, blocks = tonumber(account[3] or ''), tonumber(account[4] or ''), tonumber(account[5] or '')
if opened and not damaged then
  if not (entries and totals and blocks and merged and last) or (position == '' and last ~= '0-0') then
    damaged = 'state'
  elseif redis.call('XLEN', LOG) ~= entries then
    damaged = 'log'
  elseif redis.call('HLEN', TOTALS) ~= totals then
    damaged = 'totals'
  elseif redis.call('HLEN', BLOCKS) ~= blocks then
    damaged = 'blocks'
  end
end
local function text(number) return string.format('%.0f', number) end
-- Whether the log ends where the account says: costs as much as the last entry is long.
local function ends_well()
  local newest = entries > 0 and redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1][1] or last
  return newest == last
end
-- Workers and readers see it from here on, until the partition is opened again.
local function damage(what)
  redis.call('HSET', STATE, 'damaged', what)
  return what
end
