-- What changed since a reader's last read, together with everything that must be of one instant.
-- KEYS[1]: the namespace. ARGV: the last change number known, the origin it was read from: the
-- server's run and the first change of the view, in the form run@change.
-- Answers {origin, change number, floor, positions, {name, fields, name, fields, ...}, complete}
-- where complete is 1 if the answer starts from nothing (the reader forgets what it knew).
local ns = KEYS[1]
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or '-'
local origin = run .. '@' .. (redis.call('GET', ns .. ':born') or '-')
local change = redis.call('GET', ns .. ':change') or '0'
local since, complete = ARGV[1], 0
-- another server process, or a view that was emptied: what the reader knows may never have been
if origin ~= ARGV[2] or tonumber(change) < tonumber(since) then since, complete = '-1', 1 end
local cells = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', ns .. ':changed', '(' .. since, '+inf')) do
  cells[#cells + 1] = name
  cells[#cells + 1] = redis.call('HGETALL', ns .. ':cells:' .. name)
end
return {origin, change, redis.call('GET', ns .. ':floor') or '0', redis.call('HGETALL', ns .. ':positions'), cells, complete}
