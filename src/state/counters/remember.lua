-- Remembers a token once. One round trip, one moment, by the server's clock alone.
-- KEYS: the memory's name, the token. ARGV: the name that is expected; the latest moment at which this may still be done;
-- the earliest at which the token can have come; for how long it can still come; until when; how much clocks differ; the
-- caller's moment; how far from it this one is not believed. All in milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local differ = tonumber(ARGV[6])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'changed', now}
end
if now > tonumber(ARGV[2]) then
  return {'overtaken', now}
end
-- By a clock that is far ahead of the callers', tokens were forgotten that can still come.
if math.abs(now - tonumber(ARGV[7])) > tonumber(ARGV[8]) then
  return {'apart', now}
end
-- Nothing is remembered that comes before its time: so what comes a little after the memory began was not there before.
local earliest = tonumber(ARGV[3])
if earliest > now + differ then
  return {'ahead', now}
end
if earliest <= tonumber(string.match(ARGV[1], ' (%d+)$')) + differ then
  return {'forgotten', now}
end
-- Whoever's clock is behind decides: the caller's, or this one.
local life = math.max(tonumber(ARGV[4]), tonumber(ARGV[5]) - now)
if life < 1 then
  return {'over', now}
end
if redis.call('SET', KEYS[2], '', 'NX', 'PX', string.format('%.0f', life)) then
  return {'new', now}
end
return {'before', now}
