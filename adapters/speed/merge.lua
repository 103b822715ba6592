-- Replaces entries of the log by what they were merged into.
-- ARGV: opened, the last id that was merged before, the last id that is merged now, how many merges there were, the id up to
--   which entries go, what is kept by hours and by days below, numbers of totals to set, blocks to
--   set, totals to remove, blocks to remove; then the fields and values, and the fields.
-- Entries stay for a while, so that readers who follow the log, or begin to, need not read blocks again.
-- Answers "merged", "stale" where somebody else merged or opened it meanwhile, or {"failed", key, message}.
if not opened or damaged or opened ~= ARGV[1] or merged ~= ARGV[2] or account[10] ~= ARGV[4] then return 'stale' end
-- a Redis that came back with older data has not got what was merged
if ARGV[3] ~= merged and #redis.call('XRANGE', LOG, ARGV[3], ARGV[3]) == 0 then return 'stale' end
local at = 12
local function fields(count, width)
  local part = {}
  for i = 1, count * width do part[i] = ARGV[at + i - 1] end
  at = at + count * width
  return part
end
local new_totals, new_blocks = fields(tonumber(ARGV[8]), 2), fields(tonumber(ARGV[9]), 2)
local old_totals, old_blocks = fields(tonumber(ARGV[10]), 1), fields(tonumber(ARGV[11]), 1)
local key = STATE
local function write()
  -- where there is no room, or a command is forbidden, nothing has changed yet
  redis.call('HSET', STATE, 'merged', merged)
  redis.call('HDEL', STATE, 'damaged')
  redis.call('XTRIM', LOG, 'MINID', '0-0')
end
local function set(name, pairs_)
  key = name
  for i = 1, #pairs_, 2 do redis.call('HSET', name, pairs_[i], pairs_[i + 1]) end
end
local function remove(name, gone)
  key = name
  for i = 1, #gone do redis.call('HDEL', name, gone[i]) end
end
write()
local done, problem = pcall(function()
  set(TOTALS, new_totals)
  remove(TOTALS, old_totals)
  set(BLOCKS, new_blocks)
  remove(BLOCKS, old_blocks)
  key = LOG
  -- ids are offsets: the next one is above all that go
  redis.call('XTRIM', LOG, 'MINID', '=', string.match(ARGV[5], '^(%d+)') .. '-1')
  key = STATE
  redis.call('HSET', STATE, 'merged', ARGV[3], 'merges', text(tonumber(ARGV[4]) + 1), 'hours_below', ARGV[6],
    'days_below', ARGV[7], 'entries', text(redis.call('XLEN', LOG)),
    'totals', text(redis.call('HLEN', TOTALS)), 'blocks', text(redis.call('HLEN', BLOCKS)))
end)
if done then return 'merged' end
-- half of a merge must never be read
damage(string.match(key, ':(%a+)$'))
return {'failed', key, type(problem) == 'table' and problem.err or problem}
