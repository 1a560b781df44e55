-- Says since when the memory has forgotten nothing; begins a new one where this server, as it runs, is not the one that kept it,
-- or where its clock was seen to leap while it kept that one.
-- KEYS: the memory's name. ARGV: the server, as it runs; the memory that is not believed any more, or nothing.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('GET', KEYS[1])
local server, since = string.match(kept or '', '^(%S+) (%d+)$')
if server == ARGV[1] and kept ~= ARGV[2] then
  return {kept, tonumber(since), now}
end
local name = ARGV[1] .. ' ' .. string.format('%.0f', now)
redis.call('SET', KEYS[1], name)
return {name, now, now}
