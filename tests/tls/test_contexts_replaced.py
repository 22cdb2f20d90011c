"""Certificates that are replaced while they are served, by handshakes in memory."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from netkit.certificates.develop import development
from netkit.certificates.issuing import issue
from netkit.errors import CertificateError
from netkit.tls import ServerTLS, TLSOptions, client_context
from tests.handshakes import handshake, local, pem, put, rsa_pair, served


def test_replaced_pair_serves_new_handshakes() -> None:
    tls, made, new = local(), development(), issue(["localhost"])
    context, before = tls.context, served(tls.context)
    assert tls.reload_if_changed() == []
    put(made.key, new.key.read_bytes())
    put(made.cert, new.cert.read_bytes())
    lines = tls.reload_if_changed()
    assert len(lines) == 1
    assert "now serving" in lines[0]
    assert tls.context is context
    assert served(context) == pem(new.cert) != before
    assert tls.reload_if_changed() == []


def test_half_replaced_pair_keeps_the_old_one_and_is_told_once() -> None:
    tls, made, new = local(), development(), issue(["localhost"])
    before = served(tls.context)
    put(made.key, new.key.read_bytes())
    with pytest.raises(CertificateError, match="does not belong"):
        tls.reload_if_changed()
    assert tls.reload_if_changed() == []
    assert served(tls.context) == before
    made.key.unlink()
    with pytest.raises(CertificateError, match="no such file"):
        tls.reload_if_changed()
    put(made.key, new.key.read_bytes())
    put(made.cert, new.cert.read_bytes())
    assert len(tls.reload_if_changed()) == 1
    assert served(tls.context) == pem(new.cert)


def test_one_file_after_the_other_is_no_complaint_to_the_patient() -> None:
    tls, made, new = local(), development(), issue(["localhost"])
    before = served(tls.context)
    put(made.key, new.key.read_bytes())
    assert tls.reload_if_changed(patient=True) == []
    assert served(tls.context) == before
    put(made.cert, new.cert.read_bytes())
    assert len(tls.reload_if_changed(patient=True)) == 1
    assert served(tls.context) == pem(new.cert)
    put(made.cert, b"broken")
    assert tls.reload_if_changed(patient=True) == []
    with pytest.raises(CertificateError, match="no readable PEM"):
        tls.reload_if_changed(patient=True)
    assert tls.reload_if_changed(patient=True) == []


def test_one_bad_pair_does_not_hold_up_another() -> None:
    made, shop, new = development(), issue(["shop.test"]), issue(["*.shop.test", "shop.test"])
    tls = ServerTLS(TLSOptions(certs=((made.cert, made.key), (shop.cert, shop.key))))
    before = served(tls.context)
    made.cert.write_bytes(b"broken")
    put(shop.key, new.key.read_bytes())
    put(shop.cert, new.cert.read_bytes())
    with pytest.raises(CertificateError, match=r"localhost\.pem"):
        tls.reload_if_changed()
    assert served(tls.context) == before
    assert served(tls.context, "shop.test") == pem(new.cert)
    assert served(tls.context, "b.shop.test") == pem(new.cert)


def test_other_kind_of_key_replaces_the_old_one_for_everybody(own_certificates: Path) -> None:
    cert, key = rsa_pair(own_certificates)
    tls, made = ServerTLS(TLSOptions(certs=((cert, key),))), development()
    put(key, made.key.read_bytes())
    put(cert, made.cert.read_bytes())
    tls.reload_if_changed()
    client = client_context(insecure=True)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("aRSA+ECDHE")
    ours, _ = handshake(tls.context, client)
    assert isinstance(ours.error, ssl.SSLError)
    assert served(tls.context) == pem(made.cert)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates_and_replaced_client_ca(
    tmp_path: Path, own_certificates: Path, version: ssl.TLSVersion
) -> None:
    other = development(tmp_path / "other")
    ca = tmp_path / "clients.pem"
    ca.write_bytes(development().ca.read_bytes())
    tls = local(client_ca=ca)
    alice = issue(["alice"], client=True)
    mallory = issue(["mallory"], client=True, folder=tmp_path / "other")

    def enters(client: ssl.SSLContext) -> bool:
        client.maximum_version = version
        ours, _ = handshake(tls.context, client)
        return ours.error is None

    first = client_context(cert=alice.cert, key=alice.key)
    second = client_context(cert=mallory.cert, key=mallory.key)
    assert [enters(c) for c in (first, second, client_context())] == [True, False, False]
    put(ca, b"broken")
    with pytest.raises(CertificateError, match="--ssl-ca-certs"):
        tls.reload_if_changed()
    assert [enters(c) for c in (first, second)] == [True, False]
    put(ca, other.ca.read_bytes())
    assert tls.reload_if_changed() == [f"{ca}: clients are now verified with the new CAs"]
    assert [enters(c) for c in (first, second, client_context())] == [False, True, False]


def test_files_are_renewed_before_they_expire(
    own_certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = development()
    renewed = []

    def renew() -> None:
        renewed.append(1)
        monkeypatch.setattr("netkit.certificates.develop.RENEW_BEFORE", timedelta(days=3650))
        development()

    tls = ServerTLS(TLSOptions(certs=((made.cert, made.key),), renew=renew))
    assert tls.reload_if_changed() == []
    assert not renewed
    monkeypatch.setattr("netkit.tls.server.RENEW_EVERY", -1.0)
    tls = ServerTLS(TLSOptions(certs=((made.cert, made.key),), renew=renew))
    assert tls.reload_if_changed()[0].startswith(f"{made.cert}: now serving the new certificate")
    assert renewed == [1]
