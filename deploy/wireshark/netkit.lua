-- Shows the datagrams of netkit feeds (docs/feed-format.md) in Wireshark and tshark, 4.0 and later.
--
-- Try it:   tshark -X lua_script:netkit.lua -Y netkit -i lo
-- Keep it:  copy it into the folder that Help > About Wireshark > Folders names for personal plugins.
--
-- It knows a datagram by its magic and version, on whatever port. For damaged ones that begin
-- otherwise choose it by hand: Decode As, or tshark -d udp.port==9999,netkit.

local netkit = Proto("netkit", "netkit feed")

local HEADER, CONTROL, RANGE, COOKIE, MOST_RANGES = 32, 64, 12, 16, 64
local SEALS = { [0] = 0, [1] = 16, [2] = 64 } -- by the two low flags; both at once is wrong

local KINDS = {
  [0] = "data", "heartbeat", "parity", "ask", "asked",
  "subscribe", "challenge", "subscribed", "refused",
}
local SEALED_BY = { [0] = "nothing", "HMAC-SHA-256", "Ed25519", "both, which is wrong" }
local REFUSALS = { "full" }

local field = {
  magic = ProtoField.string("netkit.magic", "Magic"),
  version = ProtoField.uint8("netkit.version", "Version", base.DEC, nil, 0xf0),
  kind = ProtoField.uint8("netkit.kind", "Kind", base.DEC, KINDS, 0x0f),
  flags = ProtoField.uint8("netkit.flags", "Flags", base.HEX),
  sealed = ProtoField.uint8("netkit.flags.seal", "Sealed by", base.DEC, SEALED_BY, 0x03),
  ends = ProtoField.bool("netkit.flags.end", "End of the feed", 8, nil, 0x04),
  sender = ProtoField.uint32("netkit.sender", "Sender", base.HEX),
  epoch = ProtoField.absolute_time("netkit.epoch", "Epoch", base.UTC),
  extra = ProtoField.uint32("netkit.extra", "Extra"),
  repairable = ProtoField.uint32("netkit.repairable", "Numbers that may be asked for"),
  seconds = ProtoField.uint32("netkit.seconds", "Seconds"),
  refusal = ProtoField.uint32("netkit.refusal", "Refused because", base.DEC, REFUSALS),
  ranges = ProtoField.uint32("netkit.ranges", "Ranges"),
  sequence = ProtoField.uint64("netkit.sequence", "Sequence"),
  time = ProtoField.absolute_time("netkit.time", "Time", base.UTC),
  payload = ProtoField.bytes("netkit.payload", "Payload"),
  block_data = ProtoField.uint8("netkit.parity.data", "Data datagrams of the block"),
  block_parity = ProtoField.uint8("netkit.parity.parity", "Parity datagrams of the block"),
  index = ProtoField.uint8("netkit.parity.index", "Index of this one"),
  range = ProtoField.string("netkit.range", "Range"),
  first = ProtoField.uint64("netkit.range.first", "First"),
  count = ProtoField.uint32("netkit.range.count", "Count"),
  cookie = ProtoField.bytes("netkit.cookie", "Cookie"),
  following = ProtoField.uint64("netkit.next", "Next number"),
  seal = ProtoField.bytes("netkit.seal", "Seal"),
}
netkit.fields = field

local malformed = ProtoExpert.new(
  "netkit.malformed", "Malformed: listeners drop it", expert.group.MALFORMED, expert.severity.ERROR
)
netkit.experts = { malformed }

local function wrong(tree, why)
  tree:add_proto_expert_info(malformed, "Malformed (" .. why .. "): listeners drop it")
end

local function add_time(tree, range)
  local nanoseconds = range:uint64()
  local billion = UInt64(1000000000)
  local seconds, rest = nanoseconds / billion, nanoseconds % billion
  tree:add(field.time, range, NSTime(seconds:tonumber(), rest:tonumber()))
end

local function add_ranges(tree, body, count)
  if count < 1 or count > MOST_RANGES or body:len() ~= count * RANGE then
    wrong(tree, "ranges")
    return
  end
  for at = 0, body:len() - RANGE, RANGE do
    local first, many = body(at, 8), body(at + 8, 4)
    local text = tostring(first:uint64()) .. " and " .. many:uint() - 1 .. " more"
    local branch = tree:add(field.range, body(at, RANGE), text)
    branch:add(field.first, first)
    branch:add(field.count, many)
    if many:uint() == 0 then
      wrong(branch, "ranges")
    end
  end
end

local function add_block(tree, extra)
  tree:add(field.block_data, extra(1, 1))
  tree:add(field.block_parity, extra(2, 1))
  tree:add(field.index, extra(3, 1))
  local data, parity, index = extra(1, 1):uint(), extra(2, 1):uint(), extra(3, 1):uint()
  if extra(0, 1):uint() ~= 0 or data == 0 or index >= parity or data + parity > 256 then
    wrong(tree, "parity")
  end
end

-- For each kind: what `extra` means, and what the payload has to be.
local function add_data(tree, extra, body)
  tree:add(field.repairable, extra)
  if body then
    tree:add(field.payload, body)
  end
end

local function add_heartbeat(tree, extra, body)
  tree:add(field.repairable, extra)
  if body then
    tree:add(field.payload, body)
    wrong(tree, "payload")
  end
end

local function add_parity(tree, extra, body)
  add_block(tree, extra)
  if not body or body:len() < 10 then
    wrong(tree, "parity")
  end
  if body then
    tree:add(field.payload, body)
  end
end

local function add_asking(tree, extra, body)
  tree:add(field.ranges, extra)
  if body then
    add_ranges(tree, body, extra:uint())
  else
    wrong(tree, "ranges")
  end
end

local function add_control(kind)
  return function(tree, extra, body)
    tree:add(kind == 8 and field.refusal or field.seconds, extra)
    if not body or body:len() ~= CONTROL - HEADER then
      wrong(tree, "size")
    elseif kind == 7 then
      tree:add(field.following, body(0, 8))
    elseif kind ~= 8 then
      tree:add(field.cookie, body(0, COOKIE))
    end
  end
end

local BODIES = {
  [0] = add_data, add_heartbeat, add_parity, add_asking, add_asking,
  add_control(5), add_control(6), add_control(7), add_control(8),
}

local function add_header(tree, buffer)
  tree:add(field.magic, buffer(0, 2))
  tree:add(field.version, buffer(2, 1))
  tree:add(field.kind, buffer(2, 1))
  local flags = tree:add(field.flags, buffer(3, 1))
  flags:add(field.sealed, buffer(3, 1))
  flags:add(field.ends, buffer(3, 1))
  tree:add(field.sender, buffer(4, 4))
  tree:add(field.epoch, buffer(8, 4))
  tree:add(field.extra, buffer(12, 4))
  tree:add(field.sequence, buffer(16, 8))
  add_time(tree, buffer(24, 8))
end

local function why_not(buffer)
  if buffer:len() < HEADER then
    return "short"
  elseif buffer(0, 2):uint() ~= 0x4e4b then
    return "magic"
  elseif buffer(2, 1):bitfield(0, 4) ~= 1 then
    return "version"
  elseif not KINDS[buffer(2, 1):bitfield(4, 4)] then
    return "kind"
  end
end

function netkit.dissector(buffer, pinfo, root)
  pinfo.cols.protocol = "netkit"
  local tree = root:add(netkit, buffer())
  local why = why_not(buffer)
  if why then
    pinfo.cols.info = "malformed: " .. why
    wrong(tree, why)
    return buffer:len()
  end
  add_header(tree, buffer)
  local kind = buffer(2, 1):bitfield(4, 4)
  local info = KINDS[kind] .. " " .. tostring(buffer(16, 8):uint64())
  pinfo.cols.info = info .. string.format(", sender %08x", buffer(4, 4):uint())
  local seal = SEALS[buffer(3, 1):bitfield(6, 2)]
  if not seal or buffer:len() < HEADER + seal then
    wrong(tree, "seal")
    seal = 0
  end
  local length = buffer:len() - HEADER - seal
  BODIES[kind](tree, buffer(12, 4), length > 0 and buffer(HEADER, length) or nil)
  if seal > 0 then
    tree:add(field.seal, buffer(HEADER + length, seal))
  end
  return buffer:len()
end

local function looks_like_ours(buffer, pinfo, root)
  if buffer:len() < 3 or buffer(0, 2):uint() ~= 0x4e4b or buffer(2, 1):bitfield(0, 4) ~= 1 then
    return false
  end
  netkit.dissector(buffer, pinfo, root)
  return true
end

netkit:register_heuristic("udp", looks_like_ours)
DissectorTable.get("udp.port"):add_for_decode_as(netkit)
