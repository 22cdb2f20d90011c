"""netkit connect's parts without I/O: hex dump, recording, text, back-off."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.clients.connect import hexdump, recording
from netkit.clients.connect.dialing import LONGEST_DELAY, delays
from netkit.clients.connect.text import CRLF, Harmless

chunks = st.lists(st.tuples(st.sampled_from(["<", ">"]), st.binary(max_size=70)), max_size=10)


def test_dump_looks_like_this() -> None:
    assert list(hexdump.dump(b"GET / HTTP/1.1\r\n\x00\xff", way=">", offset=16)) == [
        "> 00000010  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|",
        "> 00000020  00 ff                                             |..|",
    ]


@given(chunks)
def test_dump_reads_back(conversation: list[tuple[str, bytes]]) -> None:
    ways = {">": b"", "<": b""}
    lines: list[str] = []
    for way, data in conversation:
        lines += hexdump.dump(data, way=way, offset=len(ways[way]))
        ways[way] += data
    assert hexdump.undump(lines) == (ways[">"], ways["<"])


@pytest.mark.parametrize("line", ["", "> ", "x 00000000  41  |A|", "> 00000010  41  |A|"])
def test_another_text_is_not_a_dump(line: str) -> None:
    with pytest.raises(ValueError, match=r"not the next line|invalid literal"):
        hexdump.undump([line])


@given(chunks)
def test_recording_reads_back(conversation: list[tuple[str, bytes]]) -> None:
    entries = [recording.Chunk(i / 8, way, data) for i, (way, data) in enumerate(conversation)]
    started = datetime(2026, 1, 31, 12, tzinfo=UTC)
    lines = [recording.header("tcp://localhost:1", started), *map(recording.line, entries)]
    assert all("\n" not in line for line in lines)
    assert list(recording.read(lines)) == entries


def test_recording_looks_like_this() -> None:
    assert json.loads(recording.header("tcp://h:1", datetime(2026, 1, 31, 12, tzinfo=UTC))) == {
        "netkit": "recording",
        "version": 1,
        "address": "tcp://h:1",
        "started": "2026-01-31T12:00:00Z",
    }
    text = recording.line(recording.Chunk(0.5, ">", "grüß\n".encode()))
    assert text == '{"at": 0.5, "way": ">", "text": "grüß\\n"}'
    assert '"base64": "//4="' in recording.line(recording.Chunk(0.5, "<", b"\xff\xfe"))


@pytest.mark.parametrize("first", ["", "null", "[]", '{"netkit": "recording", "version": 2}'])
def test_another_file_is_not_a_recording(first: str) -> None:
    with pytest.raises(ValueError):
        list(recording.read([first]))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


@given(st.text("a\r\n").map(str.encode), st.lists(st.integers(0, 50)))
def test_crlf_is_the_same_however_the_lines_are_cut(data: bytes, places: list[int]) -> None:
    crlf = CRLF()
    sent = b"".join(crlf(part) for part in cut(data, places))
    assert sent == data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def test_escape_sequences_are_shown_not_obeyed() -> None:
    show = Harmless()
    assert show(b"\x1b]0;title\x07\x1b[2Jhi\r\n\tthere\x7f") == b"^[]0;title^G^[[2Jhi\n\tthere^?"
    assert show("\x9b2J \u202eevil".encode()) == b"\\x9b2J \\u202eevil"
    assert show(b"\xff") == "\ufffd".encode()


@given(st.binary(), st.lists(st.integers(0, 50)))
def test_nothing_unsafe_reaches_a_terminal_however_it_is_cut(
    data: bytes, places: list[int]
) -> None:
    show = Harmless()
    shown = b"".join(show(part) for part in cut(data, places)).decode()
    assert all(char in "\n\t" or (char >= " " and not "\x7f" <= char < "\xa0") for char in shown)


def test_attempts_come_ever_later_up_to_a_bound() -> None:
    assert list(islice(delays(), 7)) == [0.1, 0.2, 0.4, 0.8, 1.6, LONGEST_DELAY, LONGEST_DELAY]
