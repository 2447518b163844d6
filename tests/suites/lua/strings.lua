-- SPDX-License-Identifier: MIT
-- The string, utf8 and table libraries; numbers in and out of text.
local s = "The quick brown fox jumps over the lazy dog"
for w in s:gmatch("%a+") do io.write(w:reverse():upper(), ",") end
print()
print(s:gsub("(%w+) (%w+)", "%2 %1"))
print(s:find("fox"), s:find("o", 15, true), s:match("(%w+)%s*$"), s:byte(1, 5))
print(("x"):rep(10, "-"), #("abc"):rep(100000))
for _, f in ipairs { "%d", "%5.2f", "%-10s|", "%q", "%x", "%a", "%g", "%c", "%i", "%05d" } do
	local arg = (f:find("s") or f:find("q")) and 'a "quoted"\nline' or f:find("[dixc]") and 77 or 3.14159
	print(f, string.format(f, arg))
end
print(string.pack("<i4>I2z", -2, 513, "str"):byte(1, -1))
print(string.unpack("<i4>I2z", string.pack("<i4>I2z", -2, 513, "str")))
for p, c in utf8.codes("aé€😀") do io.write(p, ":", c, " ") end
print(utf8.len("aé€😀"), utf8.char(233, 8364), utf8.len("\xff"))
for i = 1, 1000 do assert(tonumber(string.format("%.17g", i / 7)) == i / 7) end
print(tonumber("0x1p4"), tonumber("  12  "), tonumber("1e"), tonumber("zz", 36), 1e15, 2 ^ 53, -0.0, 1 / 0, 10 // 3, -10 % 3)
local t = {}
for i = 1, 5000 do t[i] = (i * 7919) % 5003 end
table.sort(t)
local sum = 0
for i = 1, #t do sum = (sum * 31 + t[i]) % 1000000007 end
print(sum, #t, table.concat(t, ",", 1, 10), table.unpack({ 1, 2, 3 }))
table.move(t, 1, 10, 5)
print(table.concat(t, " ", 1, 16), select("#", table.unpack(t, 1, 200)), table.remove(t), table.remove(t, 1))
table.sort(t, function(a, b) return a > b end)
print(t[1], t[#t], pcall(table.sort, { 3, 1, "x" }))
print(pcall(string.rep, "x", 1 << 40))
