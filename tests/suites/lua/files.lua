-- SPDX-License-Identifier: MIT
-- The io and os libraries: files, buffers, seeking, temporary files, pipes to other programs, the clock and the environment.
local name = os.tmpname()
local f = assert(io.open(name, "w"))
print(f:setvbuf("full", 1024))
for i = 1, 10000 do f:write(i, " ", i * i, "\n") end
print(f:seek("cur"), f:seek("set", 3), f:seek("end"))
f:close()
print(pcall(f.write, f, "x"), io.type(f))
local lines, sum = 0, 0
for l in io.lines(name) do
	lines = lines + 1
	sum = sum + tonumber(l:match("%d+$"))
end
print(lines, sum)
f = assert(io.open(name, "r+"))
f:seek("set", 100)
print(f:read("n", "n", "l", "L", 5, 0))
f:seek("set", 0)
f:write("HELLO")
f:seek("set", 0)
print(f:read("l"), #f:read("a"), f:read("a"), f:read("l"))
f:close()
f = assert(io.open(name, "a"))
f:write("tail\n")
f:close()
for a, b in io.lines(name, 1, "l") do
	if b == "ail" then print(a, b) end
end
print(io.open("/no/such/file"))
print(io.open("/", "w"))
print(os.rename(name, name .. ".2"), os.remove(name .. ".2"), select(3, os.remove(name)))
local t = assert(io.tmpfile())
t:write(("\0\1\2\255"):rep(5000))
t:seek("set")
local bytes = t:read("a")
print(#bytes, bytes:byte(4, 8))
t:close()
local p = assert(io.popen("seq 1 5; exit 3"))
print(p:read("a"), p:close())
p = assert(io.popen("sort -rn", "w"))
for i = 1, 5 do p:write(i, "\n") end
p:close()
print(os.execute("exit 5"))
print(os.execute("kill -9 $$"))
print(os.execute())
print(os.date("!%Y-%m-%d %H:%M:%S %j %a", 86400 * 365), os.time { year = 2000, month = 2, day = 29, hour = 12 })
print(os.getenv("HOME") ~= nil, os.getenv("no_such_variable"), os.difftime(10, 4), os.setlocale("C"))
local c, w = os.clock(), os.time()
while os.clock() == c do end
print(os.clock() > c, os.time() >= w)
os.exit(true, true)
