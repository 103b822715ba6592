-- Begins a view, or the next incarnation of one that lost a part of its binding.
-- KEYS: view, retired, started (of a job version), and the two keys by which the layout before is known.
-- ARGV: layout, the rules, the log's identity, the pipeline's meaning, the incarnation if one begins,
--   and the start of the job version that the worker counts for, "" where it has none.
-- Answers {"begun", layout, rules, log, meaning, incarnation}, {"retired"} or {"before"}.
local VIEW, RETIRED, STARTED = KEYS[1], KEYS[2], KEYS[3]
local started = redis.call('GET', STARTED)
if redis.call('EXISTS', RETIRED) == 1 or (ARGV[6] ~= '' and started and started ~= ARGV[6]) then return {'retired'} end
if redis.call('EXISTS', KEYS[4], KEYS[5]) > 0 then return {'before'} end
local bound = redis.call('HMGET', VIEW, 'layout', 'rules', 'log', 'meaning', 'born')
for number = 1, 5 do
  if not bound[number] then
    -- what is there may still tell that it is another one's
    for other = 1, 4 do
      if bound[other] and bound[other] ~= ARGV[other] then
        return {'begun', bound[1] or ARGV[1], bound[2] or ARGV[2], bound[3] or ARGV[3], bound[4] or ARGV[4], ''}
      end
    end
    redis.call('DEL', VIEW)
    redis.call('HSET', VIEW, 'layout', ARGV[1], 'rules', ARGV[2], 'log', ARGV[3], 'meaning', ARGV[4], 'born', ARGV[5], 'partitions', 0)
    return {'begun', ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]}
  end
end
return {'begun', unpack(bound)}
