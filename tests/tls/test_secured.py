"""A socket under OpenSSL, made without what `ssl` asks the kernel for."""

from __future__ import annotations

import socket
import ssl

import pytest

from netkit.tls.secured import secure
from tests.tls.peer import tcp_pair


def test_it_has_all_that_ssl_sets_on_its_own() -> None:
    """As long as it does, `ssl.SSLSocket`'s methods work on it: Python may add to them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs, ours = tcp_pair()
    with theirs, ours:
        kept = theirs.dup()
        wrapped = context.wrap_socket(
            kept,
            server_hostname="büro.example",
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
        with (
            wrapped,
            secure(ours, context, server_side=False, server_hostname="büro.example") as it,
        ):
            expected, found = vars(wrapped), vars(it)
            assert set(found) == set(expected)
            differing = {name for name in found if found[name] != expected[name]}
            assert differing == {"_sslobj"}
            assert type(found["_sslobj"]) is type(expected["_sslobj"])
            assert (it.family, it.type) == (socket.AF_INET, socket.SOCK_STREAM)
            assert it.gettimeout() == 0.0
            assert ours.fileno() == -1


def test_a_name_to_be_verified_cannot_be_left_out() -> None:
    """Without one OpenSSL would take a certificate for any."""
    theirs, ours = tcp_pair()
    with theirs, ours, pytest.raises(ValueError, match="check_hostname requires server_hostname"):
        secure(ours, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), server_side=False)
    assert ours.fileno() == -1
