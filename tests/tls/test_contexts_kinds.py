"""Pairs of several kinds side by side, and keys for tickets that change."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest

from netkit.certificates.develop import development
from netkit.certificates.issuing import issue
from netkit.errors import CertificateError
from netkit.tls import ServerTLS, TLSOptions, client_context
from netkit.tls.choosing import OTHERS, candidates, choices
from netkit.tls.pair import Pair
from tests.handshakes import Side, handshake, pem, put, rsa_pair, served, side


def only(suites: str) -> ssl.SSLContext:
    """A client of TLS 1.2, whose suites name the kind of key."""
    client = client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(suites)
    return client


def shown(context: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost") -> int | None:
    """The serial number of the certificate that a client accepts, or None if it accepts none."""
    _, theirs = handshake(context, client, host)
    if theirs.error is not None:
        return None
    certificate = theirs.tls.getpeercert()
    assert certificate
    return int(str(certificate["serialNumber"]), 16)


def test_ecdsa_and_rsa_side_by_side(own_certificates: Path) -> None:
    rsa, made = rsa_pair(own_certificates), development()
    numbers = {name: pem(path).serial_number for name, path in (("R", rsa[0]), ("E", made.cert))}
    for pairs in ([(made.cert, made.key), rsa], [rsa, (made.cert, made.key)]):
        tls = ServerTLS(TLSOptions(certs=tuple(pairs)))
        assert shown(tls.context, only("ECDHE+aRSA")) == numbers["R"]
        assert shown(tls.context, only("ECDHE+aECDSA")) == numbers["E"]
        assert shown(tls.context, client_context()) == numbers["E"]  # cheaper for both sides


def test_kinds_of_the_same_names_need_no_callback(own_certificates: Path) -> None:
    rsa, made = rsa_pair(own_certificates), issue(["localhost"])
    tls = ServerTLS(TLSOptions(certs=((made.cert, made.key), rsa)))
    assert tls.context.sni_callback is None
    assert shown(tls.context, only("ECDHE+aRSA")) == pem(rsa[0]).serial_number


def test_a_kind_for_one_name_is_not_shown_to_those_who_ask_for_another(
    own_certificates: Path,
) -> None:
    shop, rsa = issue(["shop.test"]), rsa_pair(own_certificates)
    tls = ServerTLS(TLSOptions(certs=((shop.cert, shop.key), rsa)))
    assert shown(tls.context, only("ECDHE+aRSA")) == pem(rsa[0]).serial_number
    assert shown(tls.context, only("ECDHE+aECDSA")) is None
    assert shown(tls.context, only("ECDHE+aRSA"), "shop.test") is None
    assert shown(tls.context, only("ECDHE+aECDSA"), "shop.test") == pem(shop.cert).serial_number


def test_one_of_two_kinds_is_replaced(own_certificates: Path) -> None:
    rsa, made, new = rsa_pair(own_certificates), development(), issue(["localhost"])
    tls = ServerTLS(TLSOptions(certs=((made.cert, made.key), rsa)))
    context, number = tls.context, pem(rsa[0]).serial_number
    put(made.key, new.key.read_bytes())
    with pytest.raises(CertificateError, match="does not belong"):
        tls.reload_if_changed()
    assert shown(context, only("ECDHE+aECDSA")) is not None
    put(made.cert, new.cert.read_bytes())
    assert len(tls.reload_if_changed()) == 1
    assert tls.context is context
    assert shown(context, only("ECDHE+aECDSA")) == pem(new.cert).serial_number
    assert shown(context, only("ECDHE+aRSA")) == number
    # Both are ECDSA now: there is no RSA left, and the first is for everybody.
    put(rsa[1], new.key.read_bytes())
    put(rsa[0], new.cert.read_bytes())
    assert len(tls.reload_if_changed()) == 1
    assert shown(context, only("ECDHE+aRSA")) is None
    assert shown(context, client_context()) == pem(new.cert).serial_number


def test_a_broken_pair_stays_out_of_what_is_made_anew(own_certificates: Path) -> None:
    rsa, made, ca = rsa_pair(own_certificates), development(), own_certificates / "clients.pem"
    ca.write_bytes(made.ca.read_bytes())
    tls = ServerTLS(TLSOptions(certs=((made.cert, made.key), rsa), client_ca=ca))
    alice = issue(["alice"], client=True)
    client = client_context(cert=alice.cert, key=alice.key)
    whole = made.cert.read_bytes()
    put(made.cert, b"broken")
    put(ca, made.ca.read_bytes())
    with pytest.raises(CertificateError, match="no readable PEM"):
        tls.reload_if_changed()
    assert tls.reload_if_changed() == []
    assert shown(tls.context, client) == pem(rsa[0]).serial_number
    put(made.cert, whole)
    assert len(tls.reload_if_changed()) == 1
    assert shown(tls.context, client) == pem(made.cert).serial_number


def test_choices() -> None:
    def pair(kind: str, *hosts: str) -> Pair:
        return Pair(hosts, kind, datetime.datetime.max, ())

    pairs = [pair("E", "a", "b"), pair("R", "a"), pair("E", "a", "*.c"), pair("R", "a", "b", "d")]
    assert choices(pairs) == {
        "a": (0, 1), "b": (0, 3), "*.c": (2,), "d": (3,), OTHERS: (0, 3),
    }  # fmt: skip
    assert choices([pair("E"), pair("R")]) == {OTHERS: (0,)}
    assert candidates("X.C") == ("x.c", "*.c", OTHERS)
    assert candidates(None) == candidates("") == (OTHERS,)


def resumes(server: ssl.SSLContext, session: ssl.SSLSession, client: ssl.SSLContext) -> bool:
    ours, theirs = side(server), side(client, "localhost")
    theirs.tls.session = session
    shake(ours, theirs)
    return bool(theirs.tls.session_reused)


def shake(ours: Side, theirs: Side) -> None:
    for _ in range(6):
        for one, other in ((theirs, ours), (ours, theirs)):
            one.step(one.tls.do_handshake)
            other.incoming.write(one.outgoing.read())
    theirs.step(lambda: theirs.tls.read(1))  # TLS 1.3's tickets come after the handshake
    assert (ours.error, theirs.error) == (None, None)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_keys_for_tickets_change(
    version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch, own_certificates: Path
) -> None:
    monkeypatch.setattr("netkit.tls.server.TICKET_KEYS_LAST", -1.0)
    made, client = development(), client_context()
    client.maximum_version = version
    tls = ServerTLS(TLSOptions(certs=((made.cert, made.key),)))
    first = tls.context
    _, theirs = handshake(first, client)
    session = theirs.tls.session
    assert session is not None
    assert session.has_ticket
    assert resumes(first, session, client)
    assert tls.reload_if_changed() == []
    assert tls.context is not first
    assert not resumes(tls.context, session, client)
    # Who kept the first one resumes as before, and serves what is replaced.
    assert resumes(first, session, client)
    new = issue(["localhost"])
    put(made.key, new.key.read_bytes())
    put(made.cert, new.cert.read_bytes())
    tls.reload_if_changed()
    assert served(first) == served(tls.context) == pem(new.cert)
