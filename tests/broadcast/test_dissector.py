"""deploy/wireshark/netkit.lua, run by tshark over a capture of all that the format knows."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from netkit.feeds.format import CONTROL, Flag, Header, Kind, Refusal
from netkit.feeds.ranges import Range, pack
from netkit.feeds.sealing import Ed25519Sealing, HmacSeal
from tests.house import ROOT
from tests.peers import peer

SCRIPT = ROOT / "deploy" / "wireshark" / "netkit.lua"
PORT = 9999
STARTED = 1_767_225_600  # 2026-01-01 00:00:00 UTC
TIME = STARTED * 10**9 + 123_456_789
LARGE = 2**64 - 2
RAW_IP = 101  # LINKTYPE_RAW of a capture: packets begin with their IP header


def datagram(
    kind: Kind, sequence: int = 0, extra: int = 0, payload: bytes = b"", flags: int = 0
) -> bytes:
    header = Header(kind, 0x1A2B3C4D, STARTED, sequence, TIME, extra, Flag(flags))
    return header.pack() + payload


def control(kind: Kind, extra: int, payload: bytes = b"") -> bytes:
    return datagram(kind, 5, extra, payload).ljust(CONTROL, b"\0")


def dissect(
    folder: Path, datagrams: list[bytes], *fields: str, options: tuple[str, ...] = ()
) -> list[list[str]]:
    """What tshark says of each datagram, by field; what it has several of, with commas."""
    capture = folder / "feed.pcap"
    capture.write_bytes(pcap(datagrams))
    command = [peer("tshark"), "-r", str(capture), "-X", f"lua_script:{SCRIPT}", *options]
    command += ["-T", "fields", "-E", "separator=|"]
    for field in (*fields, "_ws.lua.error"):
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "rror" not in done.stderr, done.stderr
    seen = [line.split("|") for line in done.stdout.splitlines()]
    # An error of a script that loads is an item in the tree, and nothing on stderr.
    assert not [each for each in seen if each.pop()], "the script has failed"
    return seen


def pcap(datagrams: list[bytes]) -> bytes:
    """A capture file (classic pcap, microseconds) of UDP over IPv4."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP)
    for payload in datagrams:
        udp = struct.pack(">HHHH", 40000, PORT, 8 + len(payload), 0) + payload
        ip = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\2"
        )
        out += struct.pack("<IIII", STARTED, 0, len(ip) + len(udp), len(ip) + len(udp)) + ip + udp
    return out


def test_the_header(tmp_path: Path) -> None:
    sent = [datagram(kind, LARGE, 1) for kind in Kind]
    fields = ("magic", "version", "kind", "sender", "epoch", "extra", "sequence", "time")
    seen = dissect(tmp_path, sent, "_ws.col.Protocol", *(f"netkit.{each}" for each in fields))
    assert len(seen) == len(Kind)
    for kind, (protocol, magic, version, number, sender, epoch, extra, sequence, time) in zip(
        Kind, seen, strict=True
    ):
        assert (protocol, magic, version, number) == ("netkit", "NK", "1", str(int(kind)))
        assert (sender, extra, sequence) == ("0x1a2b3c4d", "1", str(LARGE))
        assert epoch.startswith("Jan  1, 2026 00:00:00")
        assert time == "Jan  1, 2026 00:00:00.123456789 UTC"


def test_data_heartbeats_and_flags(tmp_path: Path) -> None:
    sent = [
        datagram(Kind.DATA, 2, 7, b"hello"),
        datagram(Kind.DATA, 3, 0),
        datagram(Kind.HEARTBEAT, 3, 7, flags=Flag.END),
    ]
    seen = dissect(
        tmp_path, sent, "netkit.repairable", "netkit.payload", "netkit.flags.end",
        "netkit.flags.seal", "netkit.seal", "netkit.malformed",
    )  # fmt: skip
    assert [each[:2] for each in seen] == [["7", b"hello".hex()], ["0", ""], ["7", ""]]
    assert [each[2] in {"1", "True"} for each in seen] == [False, False, True]
    assert [each[3:] for each in seen] == [["0", "", ""]] * 3


def test_seals(tmp_path: Path) -> None:
    plain = datagram(Kind.DATA, 2, 7, b"hello")
    by_hmac = HmacSeal(bytes(32)).seal(plain)
    by_ed25519 = Ed25519Sealing(Ed25519PrivateKey.from_private_bytes(bytes(32))).seal(plain)
    seen = dissect(
        tmp_path, [by_hmac, by_ed25519],
        "netkit.flags.seal", "netkit.payload", "netkit.seal", "netkit.malformed",
    )  # fmt: skip
    assert seen == [
        ["1", b"hello".hex(), by_hmac[-16:].hex(), ""],
        ["2", b"hello".hex(), by_ed25519[-64:].hex(), ""],
    ]


def test_parity(tmp_path: Path) -> None:
    sent = [datagram(Kind.PARITY, 11, 20 << 16 | 4 << 8 | 3, b"s" * 12)]
    fields = ("sequence", "parity.data", "parity.parity", "parity.index", "payload", "malformed")
    (seen,) = dissect(tmp_path, sent, *(f"netkit.{each}" for each in fields))
    assert seen == ["11", "20", "4", "3", (b"s" * 12).hex(), ""]


@pytest.mark.parametrize("kind", [Kind.ASK, Kind.ASKED])
def test_ranges(tmp_path: Path, kind: Kind) -> None:
    ranges = [Range(1, 1), Range(2**63, 2**32 - 1), Range(77, 3)]
    most = [Range(number, 1) for number in range(1, 129, 2)]
    sent = [datagram(kind, 0, len(each), pack(each)) for each in (ranges, most)]
    seen = dissect(
        tmp_path, sent,
        "netkit.ranges", "netkit.range.first", "netkit.range.count", "netkit.malformed",
    )  # fmt: skip
    assert seen == [
        [
            str(len(each)),
            ",".join(str(one.first) for one in each),
            ",".join(str(one.count) for one in each),
            "",
        ]
        for each in (ranges, most)
    ]


def test_subscribing(tmp_path: Path) -> None:
    cookie = bytes(range(16))
    sent = [
        control(Kind.SUBSCRIBE, 30, cookie),
        control(Kind.CHALLENGE, 120, cookie),
        control(Kind.SUBSCRIBED, 30, (101).to_bytes(8, "big")),
        control(Kind.REFUSED, Refusal.FULL),
    ]
    fields = ("kind", "seconds", "cookie", "next", "refusal", "malformed")
    assert dissect(tmp_path, sent, *(f"netkit.{each}" for each in fields)) == [
        ["5", "30", cookie.hex(), "", "", ""],
        ["6", "120", cookie.hex(), "", "", ""],
        ["7", "30", "", "101", "", ""],
        ["8", "", "", "", "1", ""],
    ]


MALFORMED = {
    "short": datagram(Kind.DATA)[:31],
    "shortest": datagram(Kind.DATA)[:3],
    "kind": b"NK\x19" + datagram(Kind.DATA)[3:],
    "heartbeat with a payload": datagram(Kind.HEARTBEAT, payload=b"x"),
    "no room for the seal": datagram(Kind.DATA, payload=b"x" * 15, flags=Flag.HMAC),
    "both seals": datagram(Kind.DATA, payload=b"x" * 90, flags=3),
    "no parity": datagram(Kind.PARITY, extra=0x010100),
    "parity too short": datagram(Kind.PARITY, extra=0x010100, payload=b"x" * 9),
    "no such parity": datagram(Kind.PARITY, extra=0x010101, payload=b"x" * 10),
    "high bits": datagram(Kind.PARITY, extra=0x01010100, payload=b"x" * 10),
    "no ranges": datagram(Kind.ASK),
    "half a range": datagram(Kind.ASK, extra=1, payload=b"x" * 11),
    "another number of ranges": datagram(Kind.ASKED, extra=2, payload=b"x" * 12),
    "too many ranges": datagram(Kind.ASK, extra=65, payload=b"x" * 12 * 65),
    "an empty range": datagram(Kind.ASK, extra=1, payload=bytes(12)),
    **{
        f"{kind.name} of {size} bytes": control(kind, 1).ljust(size, b"\0")[:size]
        for kind in (Kind.SUBSCRIBE, Kind.CHALLENGE, Kind.SUBSCRIBED, Kind.REFUSED)
        for size in (32, 40, 63, 65)
    },
}


def test_malformed_ones_are_marked(tmp_path: Path) -> None:
    seen = dissect(tmp_path, list(MALFORMED.values()), "_ws.col.Protocol", "netkit.malformed")
    unmarked = [name for name, (_, mark) in zip(MALFORMED, seen, strict=True) if not mark]
    assert not unmarked
    assert {protocol for protocol, _ in seen} == {"netkit"}


def test_any_byte_cut_off_or_changed_is_no_error_of_the_script(tmp_path: Path) -> None:
    whole = HmacSeal(bytes(32)).seal(datagram(Kind.ASKED, 0, 2, pack([Range(1, 1), Range(5, 2)])))
    sent = [whole[:size] for size in range(3, len(whole))]
    sent += [whole[:at] + b"\xff" + whole[at + 1 :] for at in range(3, len(whole))]
    for kind in range(16):
        sent += [b"NK" + bytes([0x10 | kind, flags]) + b"\xff" * 60 for flags in range(8)]
    assert len(dissect(tmp_path, sent, "netkit.kind")) == len(sent)


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    sent = [b"", b"N", b"NK", b"hello, world" * 4, b"NK\x20" + bytes(60)]
    seen = dissect(tmp_path, sent, "frame.protocols")
    assert not [protocols for (protocols,) in seen if "netkit" in protocols]


def test_decode_as(tmp_path: Path) -> None:
    sent = [b"XX" + datagram(Kind.DATA)[2:], b"NK\x20" + bytes(60), b"hello", datagram(Kind.DATA)]
    as_ours = ("-d", f"udp.port=={PORT},netkit")
    seen = dissect(
        tmp_path, sent, "_ws.col.Protocol", "_ws.col.Info", "netkit.kind", options=as_ours
    )
    assert [each[0] for each in seen] == ["netkit"] * 4
    assert [each[1] for each in seen[:3]] == [
        "malformed: magic", "malformed: version", "malformed: short",
    ]  # fmt: skip
    assert [each[2] for each in seen] == ["", "", "", "0"]


def test_the_list_of_packets(tmp_path: Path) -> None:
    sent = [datagram(Kind.DATA, 2, 7, b"hello"), datagram(Kind.HEARTBEAT, 2, 7)]
    seen = dissect(tmp_path, sent, "_ws.col.Info")
    assert seen == [["data 2, sender 1a2b3c4d"], ["heartbeat 2, sender 1a2b3c4d"]]
