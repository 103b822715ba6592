-- Looks whether a partition has all its keys. ARGV: the name of its opening as the writer knows it.
-- Answers "whole", "damaged <what>" or "gone" where it was opened again, or is not there any more.
if not opened or opened ~= ARGV[1] then return 'gone' end
if not damaged and not ends_well() then damaged = 'log' end
if damaged then return 'damaged ' .. damage(damaged) end
return 'whole'
