-- SPDX-License-Identifier: MIT
-- Programs that compute: a sieve, matrices, fractions of pi, n-queens, a word count, random numbers from a seed.
local N = tonumber(arg[1]) or 1
local function sieve(n)
	local is, count, last = {}, 0, 0
	for i = 2, n do is[i] = true end
	for i = 2, n do
		if is[i] then
			count, last = count + 1, i
			for j = i * i, n, i do is[j] = false end
		end
	end
	return count, last
end
print("sieve", sieve(200000 * N))

local function spectral(n)
	local function A(i, j) local ij = i + j - 1 return 1.0 / (ij * (ij - 1) * 0.5 + i) end
	local u = {}
	for i = 1, n do u[i] = 1 end
	local function mult(v, at)
		local r = {}
		for i = 1, n do
			local s = 0
			for j = 1, n do s = s + v[j] * (at and A(j, i) or A(i, j)) end
			r[i] = s
		end
		return r
	end
	local v
	for _ = 1, 5 do v = mult(mult(u), true) u = mult(mult(v), true) end
	local vbv, vv = 0, 0
	for i = 1, n do vbv, vv = vbv + u[i] * v[i], vv + v[i] * v[i] end
	return math.sqrt(vbv / vv)
end
print("spectral", string.format("%.9f", spectral(60 * N)))

local function pi_digits(n)
	local out, q, r, t, k, m, x = {}, 1, 0, 1, 1, 3, 3
	local len, a = n * 10 // 3, {}
	for i = 1, len do a[i] = 2 end
	local nines, predigit = 0, 0
	for _ = 1, n do
		local carry = 0
		for i = len, 1, -1 do
			local v = 10 * a[i] + carry * i
			a[i] = v % (2 * i - 1)
			carry = v // (2 * i - 1)
		end
		a[1] = carry % 10
		carry = carry // 10
		if carry == 9 then
			nines = nines + 1
		elseif carry == 10 then
			out[#out + 1] = predigit + 1
			for _ = 1, nines do out[#out + 1] = 0 end
			predigit, nines = 0, 0
		else
			out[#out + 1] = predigit
			for _ = 1, nines do out[#out + 1] = 9 end
			predigit, nines = carry, 0
		end
	end
	return table.concat(out)
end
print("pi", pi_digits(200 * N))

local function queens(n)
	local cols, d1, d2, found = {}, {}, {}, 0
	local function place(r)
		if r > n then found = found + 1 return end
		for c = 1, n do
			if not cols[c] and not d1[r + c] and not d2[r - c + n] then
				cols[c], d1[r + c], d2[r - c + n] = true, true, true
				place(r + 1)
				cols[c], d1[r + c], d2[r - c + n] = nil, nil, nil
			end
		end
	end
	place(1)
	return found
end
print("queens", queens(8))

math.randomseed(42)
local words, counts = {}, {}
for i = 1, 20000 * N do
	local w = string.char(97 + math.random(0, 5), 97 + math.random(0, 5), 97 + math.random(0, 5))
	if not counts[w] then words[#words + 1] = w end
	counts[w] = (counts[w] or 0) + 1
end
table.sort(words, function(a, b) return counts[a] > counts[b] or counts[a] == counts[b] and a < b end)
for i = 1, 5 do io.write(words[i], "=", counts[words[i]], " ") end
print(#words, math.random(), math.random(1 << 40))
