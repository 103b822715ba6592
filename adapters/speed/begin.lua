-- Begins a view, or the next incarnation of one that lost a key: what is left of the old one is
-- forgotten in the same call, and a step of a worker that still knows it is a conflict from here on.
-- ARGV: the rules, the log's identity, the pipeline's meaning, that of views which do not say it, the incarnation if one begins,
--   and the start of the job version that the worker counts for (see apply.lua).
-- Answers {"begun", rules, log, meaning, incarnation, key that was lost or ""}, or {"retired"}.
if retired(ARGV[6]) then return {'retired'} end
local bound = redis.call('HMGET', META, 'rules', 'log', 'meaning')
local rules, log = bound[1] or ARGV[1], bound[2] or ARGV[2]
local meaning = bound[3] or (born and ARGV[4] or ARGV[3])
-- others than the worker's: it is refused, and nothing is changed
if rules ~= ARGV[1] or log ~= ARGV[2] or meaning ~= ARGV[3] then
  return {'begun', rules, log, meaning, born or '', ''}
end
if born and not damaged and not (bound[1] and bound[2]) then damaged = 'meta' end
if born and not bound[3] then redis.call('HSET', META, 'meaning', meaning) end
if damaged then
  -- the last ones are keys of an older layout
  redis.call('DEL', META, POSITIONS, EPOCHS, CHANGED, ns .. ':floor', ns .. ':change', ns .. ':born', ns .. ':rules', ns .. ':log')
  redis.call('HSET', META, 'again', redis.call('TIME')[1] .. ' ' .. damaged)
  -- as far as it is known, so that numbers of changes go on growing
  if change and change < 2 ^ 53 then redis.call('HSET', META, 'change', text(change)) end
  born = false
end
if not born then
  born = ARGV[5]
  redis.call('HSET', META, 'born', born, 'rules', rules, 'log', log, 'meaning', meaning, 'sweep', 1)
end
return {'begun', rules, log, meaning, born, damaged or ''}
