-- What changed since a reader's last read, together with everything that must be of one instant.
-- ARGV: the last change number known, the origin it was read from: the server's run and the incarnation
-- of the view, in the form run@incarnation.
-- Answers {origin, change number, floor, positions, {name, fields, name, fields, ...}, complete, again}
-- where complete is 1 if the answer starts from nothing (the reader forgets what it knew), and again is
-- the key whose loss made the view begin again within the last minute; or {"damaged", key}.
if damaged then return {'damaged', damaged} end
local said, info = pcall(redis.call, 'INFO', 'server')
local run = said and string.match(info, 'run_id:(%w+)') or '-'
local origin = run .. '@' .. (born or '-')
local since, complete = ARGV[1], 0
-- another server process, or a view that was emptied: what the reader knows may never have been
if origin ~= ARGV[2] or change < tonumber(since) then since, complete = '-1', 1 end
local cells = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', CHANGED, '(' .. since, '+inf')) do
  local fields = redis.call('HGETALL', cells_of(name))
  if #fields == 0 then return {'damaged', cells_of(name)} end
  cells[#cells + 1] = name
  cells[#cells + 1] = fields
end
local at, key = string.match(redis.call('HGET', META, 'again') or '', '^(%d+) (.*)$')
local again = at and redis.call('TIME')[1] - at < 60 and key or ''
return {origin, text(change), text(floor), redis.call('HGETALL', POSITIONS), cells, complete, again}
