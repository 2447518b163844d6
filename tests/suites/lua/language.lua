-- SPDX-License-Identifier: MIT
-- The language: metatables, coroutines, closures, goto, errors, integers and floats, to-be-closed variables, loading of chunks, garbage.
local V = {}
V.__index = V
V.__add = function(a, b) return setmetatable({ a[1] + b[1] }, V) end
V.__eq = function(a, b) return a[1] == b[1] end
V.__lt = function(a, b) return a[1] < b[1] end
V.__call = function(self, x) return self[1] * x end
V.__tostring = function(v) return "V(" .. v[1] .. ")" end
V.__len = function() return 42 end
V.__concat = function(a, b) return tostring(a) .. "~" .. tostring(b) end
local a, b = setmetatable({ 3 }, V), setmetatable({ 4 }, V)
print(tostring(a + b), a == b, a < b, a(10), #a, a .. b, a .. "x")

local function permutations(n)
	local p = {}
	for i = 1, n do p[i] = i end
	return coroutine.wrap(function()
		local function go(k)
			if k == 0 then coroutine.yield(p) return end
			for i = 1, k do
				p[i], p[k] = p[k], p[i]
				go(k - 1)
				p[i], p[k] = p[k], p[i]
			end
		end
		go(n)
	end)
end
local n, h = 0, 0
for p in permutations(7) do
	n = n + 1
	for _, v in ipairs(p) do h = (h * 10 + v) % 998244353 end
end
print(n, h)

local co = coroutine.create(function(x) local y = coroutine.yield(x * 2) error("out of " .. y) end)
print(coroutine.resume(co, 21))
print(coroutine.resume(co, "luck"))
print(coroutine.status(co), coroutine.resume(co))
print(pcall(function() local x = nil; return x.field end))
print(select(2, xpcall(function() error({ code = 7 }) end, function(e) return e.code end)))
print(pcall(error), pcall(error, "plain", 0))

do
	local closed = {}
	do
		local x <close> = setmetatable({}, { __close = function() closed[#closed + 1] = "x" end })
		local y <close> = setmetatable({}, { __close = function() closed[#closed + 1] = "y" end })
	end
	print(table.concat(closed))
end
for i = 1, 3 do
	for j = 1, 3 do
		if j == 2 then goto continue end
		io.write(i, ":", j, " ")
		::continue::
	end
end
print()
print(load("return ...", "chunk", "t", {})(9), load("syntax error here"))
print(#string.dump(function() return 1 end) > 0, load(string.dump(function(x) return x + 1 end))(41))
print(math.maxinteger + 1 == math.mininteger, 7 // 2, 7.0 // 2, 7 % -3, 1 << 62, ~0, 3 | 4, 5 ~ 1, math.type(1), math.type(1.0))
print(math.floor(-3.5), math.ceil(-3.5), math.fmod(-7, 3), math.ult(1, -1), math.tointeger(3.0), math.abs(-0.0))
print(string.format("%.12f %.12f %.12f", math.sin(1), math.exp(1), math.log(10, 2)))

local weak, count = setmetatable({}, { __mode = "k" }), 0
for i = 1, 1000 do weak[{}] = i end
collectgarbage()
for _ in pairs(weak) do count = count + 1 end
print(count)
local finalized = 0
for i = 1, 500 do setmetatable({}, { __gc = function() finalized = finalized + 1 end }) end
collectgarbage() collectgarbage()
print(finalized, collectgarbage("isrunning"))
for mode in ("generational incremental"):gmatch("%a+") do
	collectgarbage(mode)
	local keep = {}
	for i = 1, 30000 do keep[i % 1000 + 1] = { i, tostring(i) } end
	print(mode, keep[1][1], keep[1000][2])
end
local depth = 0
local function deep() depth = depth + 1 return 1 + deep() end
print(pcall(deep) == false, depth > 10000)
