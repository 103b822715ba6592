-- Raises the floor of a partition: epochs below it are left out by readers, and removed with the next merge.
-- ARGV: the new floor.
if opened and not damaged and tonumber(ARGV[1]) > floor then
  redis.call('HSET', STATE, 'floor', ARGV[1])
end
return 1
