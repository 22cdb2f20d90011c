"""Failed handshakes in words: made in memory, and with exceptions that the loops raise."""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from netkit.certificates import authority, names
from netkit.certificates.develop import development
from netkit.certificates.issuing import issue
from netkit.tls import ServerTLS, TLSOptions, client_context, client_reason, server_reason
from tests.handshakes import Side, handshake, local, pem, side


def slugs(ours: Side, theirs: Side, certificate: bytes | None = None) -> tuple[str, str]:
    """Return the server's and the client's reason; "" where that side saw no error."""
    found = []
    if ours.error is not None:
        found.append(server_reason(ours.error))
    if theirs.error is not None:
        found.append(client_reason(theirs.error, "localhost:1", certificate))
    assert all("\n" not in reason.text for reason in found)
    return (
        server_reason(ours.error).slug if ours.error else "",
        client_reason(theirs.error, "localhost:1").slug if theirs.error else "",
    )


@pytest.mark.parametrize(
    ("sent", "slug"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "plain-text"),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", "plain-text"),
        (b"NICK alice\r\nUSER a 0 * :a\r\n", "plain-text"),
        (b"\x16\x03\x01\x00\x04junk", "plain-text"),
        (bytes(64), "plain-text"),
    ],
)
def test_plain_text_sent_to_a_server(sent: bytes, slug: str) -> None:
    ours = side(local().context)
    ours.incoming.write(sent)
    ours.step(ours.tls.do_handshake)
    assert ours.error is not None
    assert server_reason(ours.error).slug == slug


def test_client_goes_away_during_the_handshake() -> None:
    ours = side(local().context)
    ours.incoming.write_eof()
    ours.step(ours.tls.do_handshake)
    assert ours.error is not None
    assert server_reason(ours.error).slug == "closed-in-handshake"


def test_client_does_not_trust_the_server(tmp_path: Path) -> None:
    other = development(tmp_path / "other")
    ours, theirs = handshake(local().context, client_context(ca_certs=other.ca))
    assert slugs(ours, theirs) == ("client-distrusts", "untrusted")
    assert theirs.error is not None
    assert "--ca-certs" in client_reason(theirs.error, "localhost:1").text


def test_wrong_host_name_tells_the_names_it_has() -> None:
    server = local().context
    ours, theirs = handshake(server, client_context(), "example.com")
    assert slugs(ours, theirs) == ("client-distrusts", "wrong-host")
    assert theirs.error is not None
    der = pem(development().cert).public_bytes(Encoding.DER)
    assert "localhost, 127.0.0.1, ::1" in client_reason(theirs.error, "example.com:1", der).text
    ours, theirs = handshake(server, client_context(), "127.0.0.9")
    assert slugs(ours, theirs)[1] == "wrong-host"


def test_expired_and_self_signed_certificates(own_certificates: Path) -> None:
    made = development()
    ca, key = authority.authority(own_certificates), authority.new_key()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf = authority.sign(ca, key, "old", [names.parse("localhost")], days=0)
    both = own_certificates / "both.pem"
    both.write_bytes(leaf.public_bytes(Encoding.PEM) + authority.key_pem(key))
    context.load_cert_chain(both)
    ours, theirs = handshake(context, client_context())
    assert slugs(ours, theirs) == ("client-distrusts", "expired")
    assert theirs.error is not None
    der = leaf.public_bytes(Encoding.DER)
    assert f" on {leaf.not_valid_after_utc:%Y-%m-%d}" in client_reason(theirs.error, "h", der).text
    own = ServerTLS(TLSOptions(certs=((made.ca, own_certificates / "ca-key.pem"),)))
    ours, theirs = handshake(own.context, client_context(ca_certs=issue(["x.test"]).cert))
    assert slugs(ours, theirs) == ("client-distrusts", "self-signed")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_mutual_tls_refusals(tmp_path: Path, version: ssl.TLSVersion) -> None:
    made = development()
    server = local(client_ca=made.ca).context
    server.maximum_version = version
    stranger = issue(["mallory"], client=True, folder=tmp_path / "other")
    none = handshake(server, client_context())
    expected = (
        "refused-by-server" if version == ssl.TLSVersion.TLSv1_2 else ("client-certificate-missing")
    )
    assert slugs(*none) == ("client-certificate-missing", expected)
    foreign = handshake(server, client_context(cert=stranger.cert, key=stranger.key))
    assert slugs(*foreign) == ("client-certificate-untrusted", "client-certificate-refused")
    wrong_use = handshake(server, client_context(cert=made.cert, key=made.key))
    assert slugs(*wrong_use) == ("client-certificate-bad", "client-certificate-refused")


def test_no_version_and_no_cipher_in_common() -> None:
    strict, client = local(minimum="1.3").context, client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert slugs(*handshake(strict, client)) == ("no-common-version", "no-common-version")
    server = local().context
    client.set_ciphers("aRSA+ECDHE")
    assert slugs(*handshake(server, client)) == ("no-common-cipher", "refused-by-server")


def test_server_that_speaks_plain_text() -> None:
    theirs = side(client_context(), "localhost")
    theirs.incoming.write(b"220 mail.example.org ready\r\n")
    theirs.step(theirs.tls.do_handshake)
    assert theirs.error is not None
    reason = client_reason(theirs.error, "localhost:25")
    assert reason.slug == "not-tls"
    assert reason.text.startswith("localhost:25: ")
    assert "drop --tls" in reason.text


SLOW = "SSL handshake is taking longer than 60.0 seconds: aborting the connection"
BOTH = "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 111] Connect call"


@pytest.mark.parametrize(
    ("error", "server", "client"),
    [
        (ConnectionAbortedError(SLOW), "handshake-timeout", "timeout"),
        (TimeoutError(), "handshake-timeout", "timeout"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "closed-in-handshake", "closed"),
        (EOFError(), "closed-in-handshake", "closed"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), "network-error", "refused"),
        (OSError(BOTH), "network-error", "refused"),
        (OSError(errno.EHOSTUNREACH, "no route"), "network-error", "unreachable"),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), "network-error", "timeout"),
        (socket.gaierror(-2, "Name or service not known"), "network-error", "no-such-host"),
        (FileNotFoundError(errno.ENOENT, "no"), "network-error", "refused"),
        (ssl.SSLError(1, "[SSL: SOMETHING_NEW] words\nand more"), "tls-error", "tls-error"),
    ],
)
def test_errors_of_the_loops(error: OSError, server: str, client: str) -> None:
    found = server_reason(error), client_reason(error, "h:1")
    assert (found[0].slug, found[1].slug) == (server, client)
    assert all("\n" not in reason.text for reason in found)
