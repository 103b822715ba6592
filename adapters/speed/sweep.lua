-- Removes what is left of incarnations that are gone. ARGV: names (epoch:minute) of hashes or sketches
-- that were found; those that the view knows stay. Without names: all was looked through.
if damaged then return 0 end
if #ARGV == 0 then return redis.call('HDEL', META, 'sweep') end
local removed = 0
for _, name in ipairs(ARGV) do
  if not redis.call('ZSCORE', EPOCHS, name) then
    removed = removed + redis.call('DEL', cells_of(name), users_of(name))
  end
end
return removed
