-- Looks whether a view has all its keys and fields: its account at each call, and the hashes and sketches of some
-- names, so that a large view is looked through in several calls.
-- ARGV: the incarnation that the writer knows ("" for any), the first name's rank, how many names.
-- Answers {"whole", rank to go on from (0: from the beginning), 1 if leftovers are to be swept},
-- {"damaged", key} or {"gone"} where another incarnation has begun, or none is there any more.
if redis.call('EXISTS', ns .. ':retired') == 1 then return {'whole', 0, 0} end
if damaged then return {'damaged', damaged} end
if ARGV[1] ~= '' and ARGV[1] ~= born then return {'gone'} end
local rank, count = tonumber(ARGV[2]), tonumber(ARGV[3])
local names = redis.call('ZRANGE', EPOCHS, rank, rank + count - 1)
for _, name in ipairs(names) do
  if unsealed(cells_of(name)) then return {'damaged', damage(cells_of(name))} end
  for _, key in ipairs({cells_of(name), has_users(name) and users_of(name) or nil}) do
    if redis.call('EXISTS', key) == 0 then return {'damaged', damage(key)} end
  end
end
return {'whole', #names == count and rank + count or 0, redis.call('HEXISTS', META, 'sweep')}
