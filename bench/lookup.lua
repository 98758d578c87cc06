local n = 0
request = function()
  n = n + 1
  local key = (n * 7919) % 100000
  return wrk.format("POST", "/query-stream", nil, '{"sql":"SELECT * FROM hits WHERE usr = \'u' .. key .. '\';"}')
end
