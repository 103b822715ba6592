-- Opens a partition of a view, and again, empty, where it lost a key or belongs to an incarnation that is gone:
-- what is left of that is removed in the same call, and a step of a worker that still knows it is a conflict.
-- ARGV: the incarnation of the view, the name of this opening if there is one.
-- Answers {opened, position or "", bound, entries, what was lost or ""}.
local born = redis.call('HGET', STATE, 'born')
if opened and not damaged and not ends_well() then damaged = 'log' end
if opened and not damaged and born == ARGV[1] then
  return {opened, position, redis.call('HGET', STATE, 'bound') or '0', entries, ''}
end
if born ~= ARGV[1] then floor = 0 end
local lost = born == ARGV[1] and damaged or ''
redis.call('DEL', STATE, LOG, TOTALS, BLOCKS)
redis.call('HSET', STATE, 'born', ARGV[1], 'opened', ARGV[2], 'floor', text(floor), 'bound', '0',
  'entries', '0', 'totals', '0', 'blocks', '0', 'merged', '0-0', 'merges', '0', 'last', '0-0')
if lost ~= '' then redis.call('HSET', STATE, 'again', redis.call('TIME')[1] .. ' ' .. lost) end
return {ARGV[2], '', '0', 0, lost}
