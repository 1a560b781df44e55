-- Takes from buckets, each on its own; the arithmetic is that of gcra.rs, whose tests compare the two.
-- KEYS: the buckets. ARGV: the moment, or nothing for the server's clock; then limit, window and cost of each.
-- Answers the moment, and for each bucket what it owed before.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local answers = {now}
for i, key in ipairs(KEYS) do
  local limit, window, cost = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local full = limit * window
  local debt, at = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
  debt, at = tonumber(debt) or 0, tonumber(at) or now
  local set_back = at - now > window
  if set_back then
    at = now
  end
  local passed = math.min(math.max(now - at, 0), window)
  debt = math.max(math.min(debt, full) - passed * limit, 0)
  at = math.max(at, now)
  local owed = debt
  if cost > 0 and cost <= limit and debt + cost * window <= full then
    owed = debt + cost * window
  end
  if owed > debt or (set_back and owed > 0) then
    local life = math.ceil(owed / limit) + at - now
    redis.call('SET', key, string.format('%.0f %.0f', owed, at), 'PX', string.format('%.0f', life))
  elseif set_back then
    redis.call('DEL', key)
  end
  answers[i + 1] = debt
end
return answers
