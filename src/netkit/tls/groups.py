"""The groups that keys are agreed on with: those that RFC 9325's advice and Mozilla's share.

Left alone, OpenSSL 3.0 agrees on X448 and P-521 too, which scanners object to: hardly a client
knows them, and each handshake with them costs a server several times what one with X25519
does. Since Python 3.15 a context can be given a list. Before, it can be given a single group,
which would cost most clients another round trip (CPython issue 109945). A whole process can
be given a list all the same: OpenSSL's configuration has one for every context that is made
from then on. So netkit has it read `groups.cnf`, in a process that is its own, nowhere else.

docs/decisions/0011-groups-by-openssl-configuration.md weighs the other ways.
"""

from __future__ import annotations

import os
import re
import ssl
from functools import cache
from pathlib import Path

GROUPS = "X25519:P-256:P-384"
"""Best first."""

HYBRID_GROUPS = "?*X25519MLKEM768 / ?*X25519:?P-256 / ?P-384"
"""The same for OpenSSL 3.5, with the one before all others that quantum computers cannot break.

``?``: if there is such a group. ``*``: a client sends a key for it at once. ``/``: a server
takes what stands before it if it can, even at the price of another round trip.
"""

CONFIGURATION = Path(__file__).with_name("groups.cnf")

# A file that is not as OpenSSL ships it: it chooses groups, includes a policy (Fedora's
# crypto-policies, a FIPS module), or has other names for the sections that ours merge with.
_POLICY = re.compile(
    r"^\s*(\.include\b|(Groups|Curves)\s*=|openssl_conf\s*=(?!\s*openssl_init\b)"
    r"|ssl_conf\s*=(?!\s*ssl_sect\b)|system_default\s*=(?!\s*system_default_sect\b))",
    re.MULTILINE,
)
_owned = False


def own_process() -> None:
    """Say that this process is netkit's own: `prepare` may then set what holds for all of it."""
    global _owned
    _owned = True


def groups(version: tuple[int, ...]) -> str:
    """The list for this version of OpenSSL, in the syntax that it knows."""
    return HYBRID_GROUPS if version >= (3, 5) else GROUPS


def prepare() -> None:
    """Before a context is made: see to its groups, if that can only be done for all contexts."""
    if _owned and not hasattr(ssl.SSLContext, "set_groups"):
        _configure()


def choose(context: ssl.SSLContext) -> None:
    """Choose a context's groups, where Python can (3.15)."""
    set_groups = getattr(context, "set_groups", None)
    if set_groups is not None:
        set_groups(groups(ssl.OPENSSL_VERSION_INFO))


@cache
def _configure() -> None:
    """Have OpenSSL read our configuration, once. Leaves an administrator's choice alone."""
    system = system_configuration()
    if not ssl.OPENSSL_VERSION.startswith("OpenSSL ") or has_a_policy(system):
        return
    import _ssl
    import ctypes  # takes a while

    try:
        # The library that Python's own module is linked with. One that is part of the
        # interpreter may keep the name to itself: then OpenSSL's usual groups stay.
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        load, forget_errors = library.CONF_modules_load_file, library.ERR_clear_error
    except (AttributeError, OSError):
        return
    load.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong]
    words = {
        "OPENSSL_CONF_OF_SYSTEM": str(system),  # that there is none is no error
        "OPENSSL_GROUPS": groups(ssl.OPENSSL_VERSION_INFO),
    }
    os.environ.update(words)
    try:
        load(os.fsencode(CONFIGURATION), b"netkit", 0)
    finally:
        forget_errors()  # else the next call of Python's into OpenSSL would report them
        for name in words:
            del os.environ[name]


def system_configuration() -> Path:
    """The file that OpenSSL read when it started, if it is there."""
    chosen = os.environ.get("OPENSSL_CONF")
    folder = Path(ssl.get_default_verify_paths().openssl_cafile)
    return Path(chosen) if chosen else folder.with_name("openssl.cnf")


def has_a_policy(configuration: Path) -> bool:
    """Whether this file says more of TLS than the one that OpenSSL ships, or cannot be read."""
    try:
        return _POLICY.search(configuration.read_text(errors="replace")) is not None
    except FileNotFoundError:
        return False
    except OSError:
        return True
