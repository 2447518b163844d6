-- SPDX-License-Identifier: MIT
-- Whimbrel's own protocols for Wireshark: what nodes and switch say of the wire (abi/link.h), the services' datagrams and peer
-- frames, and in them the messages of the migration handlers and of the file servers. Everything that has a layout or a name
-- comes from the table `W`, which tools/wireshark/tables.sh makes of the headers; `make dissector` joins both in one file.
--   wireshark -X lua_script:build/whimbrel.lua FILE       fields: whimbrel.STRUCT.MEMBER, as in whimbrel.wire_head.type
local N, S = W.number, W.struct
local TAG = N.SEAL_TAG
local HEADER = S.peer_frame.size

local whimbrel = Proto("whimbrel", "Whimbrel")
local fields = {}

-- Which table of names a member's numbers are to be looked up in.
local messages = {}
for number, m in pairs(W.message) do messages[number] = m.name end
local peer_types = { [N.PEER_T_HELLO] = "HELLO", [N.PEER_T_WELCOME] = "WELCOME", [N.PEER_T_CONFIRM] = "CONFIRM" }
local services = {}
for port, name in pairs(W.service) do if port ~= 0 then services[port] = name end end
local names = {
	["wire_head.type"] = messages,
	["link_msg.type"] = W.enum.link_type,
	["link_msg.mode"] = W.enum.link_mode,
	["wire_signal.order"] = W.enum.wire_order,
	["dgram_head.kind"] = W.enum.dgram_kind,
	["peer_frame.type"] = peer_types,
}
local hex = { magic = true, check = true, digest = true, features = true }
local make = {
	uint8_t = ProtoField.uint8, uint16_t = ProtoField.uint16, uint32_t = ProtoField.uint32, uint64_t = ProtoField.uint64,
	int32_t = ProtoField.int32, int64_t = ProtoField.int64, bool = ProtoField.uint8, int = ProtoField.int32,
}

local function declare(struct, m)
	local key = struct .. "." .. m.name
	local abbrev = "whimbrel." .. key
	if m.type == "char" then
		fields[key] = ProtoField.stringz(abbrev, m.name)
	elseif m.count > 0 and m.size == 1 then
		fields[key] = ProtoField.bytes(abbrev, m.name)
	elseif make[m.type] then
		fields[key] = make[m.type](abbrev, m.name, hex[m.name] and base.HEX or base.DEC, names[key])
	end
end

-- Only what is dissected below, and what that consists of.
local function declare_all(struct, done)
	if done[struct] or not S[struct] then return end
	done[struct] = true
	for _, m in ipairs(S[struct]) do
		declare(struct, m)
		declare_all(m.type, done)
	end
end
local done = {}
for _, struct in ipairs { "link_msg", "link_tail", "peer_frame", "auth_hello", "dgram_head", "wire_head", "wire_body",
	"peer_fs_request", "peer_fs_reply", "probe", "load_report" } do
	declare_all(struct, done)
end
fields.call = ProtoField.uint32("whimbrel.file.call", "call", base.DEC, W.enum.fs_type)
fields.meaning = ProtoField.string("whimbrel.wire.meaning", "meaning")
fields.name = ProtoField.string("whimbrel.wire.name", "message")
fields.chunk = ProtoField.bytes("whimbrel.wire.chunk", "chunk of the image")
fields.sealed = ProtoField.bytes("whimbrel.sealed", "sealed bytes")
fields.tag = ProtoField.bytes("whimbrel.tag", "tag")
local list = {}
for _, f in pairs(fields) do list[#list + 1] = f end
whimbrel.fields = list
local strange = ProtoExpert.new("whimbrel.strange", "not what Whimbrel says", expert.group.MALFORMED, expert.severity.WARN)
whimbrel.experts = { strange }

-- Add a struct's members; `at` is where it begins. Members that the bytes do not reach are left out.
local function add(tree, buf, at, struct)
	for _, m in ipairs(S[struct]) do
		local bytes = m.size * math.max(m.count, 1)
		local from = at + m.at
		if from + bytes > buf:len() then return end
		local field = fields[struct .. "." .. m.name]
		if S[m.type] then
			for i = 0, math.max(m.count, 1) - 1 do
				local label = m.name .. (m.count > 0 and "[" .. i .. "]" or "")
				add(tree:add(whimbrel, buf(from + i * m.size, m.size), label), buf, from + i * m.size, m.type)
			end
		elseif m.count > 0 and m.size > 1 then
			for i = 0, m.count - 1 do tree:add_le(field, buf(from + i * m.size, m.size)) end
		elseif field and not m.name:match("^zero$") and not m.name:match("^pad_") then
			tree:add_le(field, buf(from, bytes))
		end
	end
end

local function member(struct, name)
	for _, m in ipairs(S[struct]) do if m.name == name then return m end end
end

local function number_at(buf, at, struct, name)
	local m = member(struct, name)
	return buf(at + m.at, m.size):le_uint()
end

local function say(pinfo, text)
	pinfo.cols.protocol = "Whimbrel"
	pinfo.cols.info:append(" [" .. text .. "]")
end

-- The messages of the migration handlers: abi/wire.h.
local function migrate(buf, pinfo, tree)
	local head, whole = S.wire_head.size, S.wire_head.size + S.wire_body.size
	if buf:len() < whole then
		tree:add_proto_expert_info(strange, "shorter than a message")
		return
	end
	local m = W.message[number_at(buf, 0, "wire_head", "type")]
	local sub = tree:add(whimbrel, buf(0, buf:len()), "Migration: " .. (m and m.name or "unknown message"))
	add(sub, buf, 0, "wire_head")
	if not m then return end
	sub:add(fields.name, m.name):set_generated()
	sub:add(fields.meaning, m.meaning .. " (" .. m.way .. ")"):set_generated()
	local body = member("wire_body", m.body).type
	add(sub:add(whimbrel, buf(head, S[body].size), body), buf, head, body)
	if buf:len() > whole then sub:add(fields.chunk, buf(whole, buf:len() - whole)) end
	say(pinfo, string.format("%s %d>%d #%d", m.name, number_at(buf, 0, "wire_head", "from"),
		number_at(buf, 0, "wire_head", "to"), number_at(buf, 0, "wire_head", "serial")))
end

-- The requests of file servers to each other: abi/msg_file.h in servers/file/remote.h.
local function file(buf, pinfo, tree, kind)
	local name = W.enum.peer_fs_type[kind]
	local struct = ({ PEER_FS_REQUEST = "peer_fs_request", PEER_FS_REPLY = "peer_fs_reply" })[name]
	if not struct or not S[struct] or buf:len() < S[struct].size then
		say(pinfo, name or "file message " .. kind)
		return
	end
	local sub = tree:add(whimbrel, buf(0, buf:len()), "Files: " .. name)
	add(sub, buf, 0, struct)
	local at = member(struct, "msg").at
	local call = buf(at, 4):le_uint()
	sub:add_le(fields.call, buf(at, 4))
	say(pinfo, (W.enum.fs_type[call] or "call " .. call) .. (kind == 2 and " answered" or ""))
end

local function frame_bytes(length)
	return HEADER + math.floor((length + 7) / 8) * 8 + TAG
end

local function ours(magic)
	return magic == N.PEER_MAGIC_OPEN or magic == N.PEER_MAGIC_SEALED
end

-- One peer frame: servers/lib/peer_frame.h.
local function frame(buf, pinfo, tree)
	local magic = buf(0, 4):le_uint()
	local service = services[pinfo.dst_port] or services[pinfo.src_port] or "?"
	if not ours(magic) or buf:len() < HEADER then
		tree:add(whimbrel, buf(), "Whimbrel"):add_proto_expert_info(strange, "no peer frame")
		return buf:len()
	end
	local length = buf(4, 4):le_uint()
	local top = tree:add(whimbrel, buf(), "Whimbrel, peers of service " .. service)
	if magic == N.PEER_MAGIC_SEALED then
		top:add_le(fields["peer_frame.magic"], buf(0, 4))
		top:add_le(fields["peer_frame.length"], buf(4, 4))
		top:add(fields.sealed, buf(8, buf:len() - 8))
		say(pinfo, service .. ", sealed, " .. length .. " bytes")
		return buf:len()
	end
	add(top, buf, 0, "peer_frame")
	if buf:len() < frame_bytes(length) then
		top:add_proto_expert_info(strange, "shorter than it says")
		return buf:len()
	end
	top:add(fields.tag, buf(buf:len() - TAG, TAG))
	local kind = number_at(buf, 0, "peer_frame", "type")
	local body = length > 0 and buf(HEADER, length):tvb()
	if peer_types[kind] then
		if body then add(top, body, 0, "auth_hello") end
		say(pinfo, service .. " " .. peer_types[kind])
	elseif body and service == "MIGRATE" then
		migrate(body, pinfo, top)
	elseif body and service == "FILE" then
		file(body, pinfo, top, kind)
	else
		say(pinfo, service .. " message " .. kind)
	end
	return buf:len()
end

-- How long the frame at `at` is; bytes that are none of ours go as one.
local function frame_length(buf, _, at)
	local length = buf(at + 4, 4):le_uint()
	if not ours(buf(at, 4):le_uint()) or length > N.PEER_BODY_MAX then return buf:len() - at end
	return frame_bytes(length)
end

local peers = Proto("whimbrel_peer", "Whimbrel between services")
function peers.dissector(buf, pinfo, tree)
	dissect_tcp_pdus(buf, tree, 8, frame_length, frame)
	return buf:len()
end

-- Datagrams: the clock server's probes and the load server's reports, in servers/lib/dgram.h.
local datagrams = Proto("whimbrel_datagram", "Whimbrel datagrams")
function datagrams.dissector(buf, pinfo, tree)
	local service = services[pinfo.dst_port] or services[pinfo.src_port] or "?"
	local top = tree:add(whimbrel, buf(), "Whimbrel, datagram of service " .. service)
	local head = S.dgram_head.size
	local magic, size = buf:len() >= 4 and buf(0, 4):le_uint(), buf:len() - head - TAG
	if size < 0 or (magic ~= N.DGRAM_MAGIC_OPEN and magic ~= N.DGRAM_MAGIC_SEALED) then
		top:add_proto_expert_info(strange, "no datagram of ours")
		return buf:len()
	end
	add(top:add(whimbrel, buf(0, head), "head"), buf, 0, "dgram_head")
	top:add(fields.tag, buf(buf:len() - TAG, TAG))
	if size == 0 then
		say(pinfo, service .. ", no payload")
		return buf:len()
	end
	if magic == N.DGRAM_MAGIC_SEALED then
		top:add(fields.sealed, buf(head, size))
		say(pinfo, service .. ", sealed, " .. size .. " bytes")
		return buf:len()
	end
	local payload = buf(head, size):tvb()
	local struct = ({ CLOCK = "probe", LOAD = "load_report" })[service]
	if struct and payload:len() >= S[struct].size then
		add(top:add(whimbrel, payload(), struct), payload, 0, struct)
		say(pinfo, struct .. " of node " .. number_at(payload, 0, struct, "node"))
	else
		say(pinfo, service)
	end
	return buf:len()
end

-- What the wire may do: abi/link.h.
local link = Proto("whimbrel_link", "Whimbrel's wire")
function link.dissector(buf, pinfo, tree)
	if buf:len() < S.link_msg.size or buf(0, 4):le_uint() ~= N.LINK_MAGIC then return 0 end
	add(tree:add(whimbrel, buf(0, S.link_msg.size), "Whimbrel's wire"), buf, 0, "link_msg")
	local kind = W.enum.link_type[number_at(buf, 0, "link_msg", "type")] or "?"
	local mode = W.enum.link_mode[number_at(buf, 0, "link_msg", "mode")]
	pinfo.cols.info = kind .. (mode and " " .. mode .. ", epoch " .. number_at(buf, 0, "link_msg", "epoch") or "")
	pinfo.cols.protocol = "Whimbrel"
	return buf:len()
end

-- The tail of a frame, behind the IP packet.
local tail = Proto("whimbrel_tail", "Whimbrel's frame check")
local function trailer(buf, _, tree)
	local at = buf:len() - S.link_tail.size
	if at < 0 or buf(at, 2):le_uint() ~= N.LINK_TAIL_MAGIC then return false end
	add(tree:add(whimbrel, buf(at, S.link_tail.size), "Whimbrel's frame check"), buf, at, "link_tail")
	return true
end
tail:register_heuristic("eth.trailer", trailer)

DissectorTable.get("ethertype"):add(N.LINK_ETHERTYPE, link)
for port in pairs(services) do
	DissectorTable.get("tcp.port"):add(port, peers)
	DissectorTable.get("udp.port"):add(port, datagrams)
end
