"""Messages are read strictly: nothing can be slipped in."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.jobs.frames import FrameError
from netkit.jobs.messages import Error, Exit, Hello, Listed, Start, Terminal, decode, encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
STARTS = st.builds(
    Start, TEXTS, st.lists(TEXTS, max_size=4).map(tuple), st.dictionaries(TEXTS, TEXTS),
    st.booleans(), st.booleans(),
    st.none() | st.builds(Terminal, st.integers(0, 999), st.integers(0, 999), TEXTS),
)  # fmt: skip


@given(STARTS)
def test_what_is_encoded_is_decoded(start: Start) -> None:
    assert decode(Start, encode(start)) == start


def test_an_end_is_told_whole() -> None:
    end = Exit(None, 9, "timeout", 1.5, user=0.25, system=0.0, max_rss=4096)
    assert decode(Exit, encode(end)) == end
    assert decode(Exit, encode(Exit(0, None, "exit", 1))) == Exit(0, None, "exit", 1.0)


@given(st.binary(max_size=200), st.sampled_from([Hello, Start, Exit, Error, Listed]))
def test_any_bytes_are_a_message_or_a_frame_error(data: bytes, cls: type) -> None:
    with suppress(FrameError):
        assert isinstance(decode(cls, data), cls)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "not the JSON"),
        (b"[]", "an object is asked for"),
        (b"{}", "name is missing"),
        (b'{"name":1}', "wrong type"),
        (b'{"name":"x","stdin":1}', "wrong type"),
        (b'{"name":"x","arguments":"ab"}', "wrong type"),
        (b'{"name":"x","arguments":[1]}', "wrong type"),
        (b'{"name":"x","named":{"a":["b"]}}', "wrong type"),
        (b'{"name":"x","environment":{"LD_PRELOAD":"/tmp/x.so"}}', "unknown key 'environment'"),
        (b'{"name":"x","user":"root"}', "unknown key 'user'"),
        (b'{"name":"x","name":"y"}', "twice"),
        (b'{"name":"x","named":{"a":"1","a":"2"}}', "twice"),
        (b'{"name":"\\ud800"}', "no Unicode"),
        (b'{"name":"x","arguments":["\\udcff"]}', "no Unicode"),
        (b'{"name":"x","terminal":{"rows":1}}', "columns is missing"),
        (b'{"name":"x","terminal":{"rows":1,"columns":NaN}}', "no number"),
        (b'{"name":"\xff"}', "not the JSON"),
        (b"[" * 60_000, "lists within lists"),
        (b'{"name":' + b"9" * 5000 + b"}", "not the JSON"),
    ],
)
def test_what_a_start_may_not_be(payload: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        decode(Start, payload)
