"""The dialogues as transcripts: what the client says, what the server answers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.starttls import DIALOGUES, Dialogue, Name
from netkit.starttls.dialogue import CLIENT_HELLO, MOST_LINES, Reply
from tests.starttls.playing import GO_AHEAD, NAMES, REFUSED, SWITCH

SMTP = r"""
S: 220 mx.test ESMTP
C: HELO me
S: 530 Must issue a STARTTLS command first
C: EHLO
S: 501 EHLO needs your name
C: ehlo me.test
S: 250-mx.test
S: 250 STARTTLS
C: NOOP is that so
S: 250 OK
C: MAIL FROM:<a@b.test>
S: 530 Must issue a STARTTLS command first
C: AUTH PLAIN AGEAYg==
S: 530 Must issue a STARTTLS command first
C: NOOP\r QUIT
S: 500 control characters in a command
C: STARTTLS now
S: 501 STARTTLS takes no parameters
C: StartTLS
S: 220 go ahead with TLS
= handshake
"""

SMTP_QUIT = """
S: 220 mx.test ESMTP
C: QUIT
S: 221 mx.test closes
= end
"""

IMAP = r"""
S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] mx.test
C: a CAPABILITY
S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED
S: a OK done
C: b login me secret
S: b NO [PRIVACYREQUIRED] STARTTLS first
C: c AUTHENTICATE PLAIN
S: c NO [PRIVACYREQUIRED] STARTTLS first
C: d SELECT INBOX
S: d BAD STARTTLS first
C: e+ NOOP
S: * BAD this is no command
C: (e) NOOP
S: * BAD this is no command
C: f NOOP
S: f OK done
C: g
S: g BAD STARTTLS first
C:
S: * BAD this is no command
C: h\t\x01 NOOP
S: * BAD this is no command
C: i LOGIN {2}
S: i BAD STARTTLS first
C: j STARTTLS now
S: j BAD it takes no arguments
C: . STARTTLS
S: . OK go ahead with TLS
= handshake
""".replace("i BAD STARTTLS", "i NO [PRIVACYREQUIRED] STARTTLS")

IMAP_LOGOUT = """
S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] mx.test
C: a LOGOUT
S: * BYE until next time
S: a OK done
= end
"""

IMAP_LITERAL = """
S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] mx.test
C: a LOGIN {10+}
S: * BYE a literal before STARTTLS
= end
"""

POP3 = r"""
S: +OK mx.test
C: CAPA
S: +OK
S: STLS
S: .
C: USER me
S: -ERR STLS first
C: PASS secret
S: -ERR STLS first
C: \0
S: -ERR control characters in a command
C: STLS now
S: -ERR it takes no arguments
C: stls
S: +OK go ahead with TLS
= handshake
"""

POP3_QUIT = """
S: +OK mx.test
C: QUIT
S: +OK until next time
= end
"""

IRC = r"""
C: CAP LS 302
S: :mx.test CAP * LS :tls
C:
C: CAP LIST
S: :mx.test CAP * LIST :
C: CAP REQ :tls
S: :mx.test CAP * ACK :tls
C: CAP REQ :sasl tls
S: :mx.test CAP * NAK :sasl tls
C: CAP END
C: CAP
S: :mx.test 410 * * :no such CAP command
C: CAP NO
S: :mx.test 410 * NO :no such CAP command
C: PING :1234
S: :mx.test PONG mx.test :1234
C: PASS secret
S: :mx.test 451 * PASS :STARTTLS first
C: NICK me
S: :mx.test 451 * NICK :STARTTLS first
C: NICK me\x07
S: :mx.test 421 * * :control characters in a command
C: STARTTLS
S: :mx.test 670 * :go ahead with TLS
= handshake
"""

IRC_QUIT = """
C: QUIT :bye
S: ERROR :until next time
= end
"""

TRANSCRIPTS: list[tuple[Name, str]] = [
    ("smtp", SMTP),
    ("smtp", SMTP_QUIT),
    ("imap", IMAP),
    ("imap", IMAP_LOGOUT),
    ("imap", IMAP_LITERAL),
    ("pop3", POP3),
    ("pop3", POP3_QUIT),
    ("irc", IRC),
    ("irc", IRC_QUIT),
]


def dialogue(name: Name) -> Dialogue:
    return DIALOGUES[name]("mx.test")


def unescaped(text: str) -> str:
    return text.encode("latin-1").decode("unicode_escape")


@pytest.mark.parametrize(("name", "text"), TRANSCRIPTS)
@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_transcript(name: Name, text: str, ending: str) -> None:
    server, out, then = dialogue(name), "", "listen"
    out = server.welcome().decode()
    for line in text.strip("\n").split("\n"):
        kind, said = line[:2], line[3:]
        if kind == "C:":
            assert (out, then) == ("", "listen")
            data = (unescaped(said) + ending).encode("latin-1")
            taken, reply = server.feed(data)
            assert taken == len(data)
            assert reply is not None
            out, then = reply.text.decode("latin-1"), reply.then
        elif kind == "S:":
            expected, _, out = out.partition("\r\n")
            assert expected == said
        else:
            assert (out, then) == ("", line[2:])


@pytest.mark.parametrize("name", NAMES)
def test_a_line_too_long(name: Name) -> None:
    server = dialogue(name)
    taken, reply = server.feed(b"x" * (server.longest - 1))
    assert (taken, reply) == (server.longest - 1, None)
    taken, reply = server.feed(b"x\n")  # one more would have ended it
    assert taken == 1
    assert reply is not None
    assert reply == Reply(server.goodbye("line too long"), "end", "line too long")


@pytest.mark.parametrize("name", NAMES)
def test_the_longest_line(name: Name) -> None:
    server = dialogue(name)
    taken, reply = server.feed(b"x" * (server.longest - 1) + b"\nSTARTTLS\n")
    assert taken == server.longest
    assert reply is not None
    assert reply.then == "listen"


@pytest.mark.parametrize("name", NAMES)
def test_too_many_lines(name: Name) -> None:
    server = dialogue(name)
    for _ in range(MOST_LINES):
        _, reply = server.feed(b"a NOOP\r\n")
        assert reply is not None
        assert reply.then == "listen"
    _, reply = server.feed(SWITCH[name])
    assert reply is not None
    assert (reply.then, reply.why) == ("end", "too many commands before STARTTLS")
    assert b"too many commands" in reply.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("behind", [b"", b"\x16", b"\x16\x03", b"\x16\x03\x01\0\1"])
def test_what_may_be_there_behind_it(name: Name, behind: bytes) -> None:
    server = dialogue(name)
    taken, reply = server.feed(SWITCH[name] + behind)
    assert taken == len(SWITCH[name])
    assert reply is not None
    assert server.switch(reply, behind) is reply
    assert GO_AHEAD[name] in reply.text


@given(name=st.sampled_from(NAMES), behind=st.binary(min_size=1))
def test_what_may_not(name: Name, behind: bytes) -> None:
    server = dialogue(name)
    taken, reply = server.feed(SWITCH[name] + behind)
    assert taken == len(SWITCH[name])
    assert reply is not None
    answer = server.switch(reply, behind[:2])
    if not CLIENT_HELLO.startswith(behind[:2]):
        assert answer.then == "end"
        assert REFUSED[name] in answer.text
        assert GO_AHEAD[name] not in answer.text


def heard(server: Dialogue, data: bytes, sizes: list[int]) -> tuple[list[Reply], bytes]:
    """What is answered if so many bytes are there at a time, and what is left untaken."""
    replies: list[Reply] = []
    there = 0
    sizes = [*sizes, len(data)]
    while sizes:
        there = min(len(data), there + sizes.pop(0))
        while there:
            taken, reply = server.feed(data[: min(there, server.wanted)])
            data, there = data[taken:], there - taken
            if reply is not None:
                replies.append(reply)
                if reply.then != "listen":
                    return replies, data
    return replies, data


WORDS = st.sampled_from(
    [b"STARTTLS", b"a STARTTLS", b"STLS", b"EHLO me", b"a CAPABILITY", b"CAP LS", b"\0", b"",
     b"\r", b"\n", b"\r\n", b"QUIT", b"x" * 300, b"{3+}"]
)  # fmt: skip


@given(
    name=st.sampled_from(NAMES),
    words=st.lists(st.one_of(WORDS, st.binary(max_size=8))),
    sizes=st.lists(st.integers(1, 40), max_size=60),
)
def test_it_does_not_matter_how_it_arrives(
    name: Name, words: list[bytes], sizes: list[int]
) -> None:
    data = b"\r\n".join(words)
    at_once = heard(dialogue(name), data, [])
    assert heard(dialogue(name), data, sizes) == at_once
    replies, _ = at_once
    assert len(replies) <= MOST_LINES + 1
    for reply in replies:  # whole lines, and nothing in them that could look like a line of ours
        assert re.fullmatch(rb"([^\r\n\0]*\r\n)*", reply.text)
