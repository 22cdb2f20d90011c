"""The files that keep keys of feeds: made once, for their owner alone.

============  =================================  =========================
kind          the sender has                     a listener has
============  =================================  =========================
Ed25519       FILE, PEM of PKCS #8 (RFC 8410)    FILE.pub, PEM of SPKI
HMAC          FILE, PEM of 32 random bytes       the same
============  =================================  =========================

Whoever has an HMAC secret can send in the sender's name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from netkit.errors import UsageError
from netkit.feeds.sealing import Ed25519Opening, Ed25519Sealing, HmacSeal, Opening, Sealing

PRIVATE = 0o600
PUBLIC = 0o644
SECRET = 32
"""Bytes of an HMAC secret that is made here: as many as SHA-256 puts out (RFC 2104, 3)."""
_LEAST_SECRET = 16  # as short as the seal itself
_LARGEST = 1 << 16  # bytes of a key file; ours have a few hundred
_BEGIN, _END = b"-----BEGIN NETKIT HMAC SECRET-----", b"-----END NETKIT HMAC SECRET-----"
_MEND = "make one with: netkit keys new"

Key: TypeAlias = Ed25519PrivateKey | Ed25519PublicKey | bytes
"""What a key file holds; bytes are an HMAC secret."""


@dataclass(frozen=True, slots=True)
class Description:
    """What may be told of a key."""

    kind: str
    fingerprint: str
    """Of both halves of a pair the same: ``SHA256:`` and the base64 of the digest."""


def new(path: Path, *, hmac: bool = False) -> tuple[Path, ...]:
    """Make a key; the files that were written, the private one first.

    Raises UsageError if a file exists or cannot be written; nothing is left then.
    """
    if hmac:
        _create(path, _armoured(secrets.token_bytes(SECRET)), PRIVATE)
        return (path,)
    key = Ed25519PrivateKey.generate()
    public = path.with_name(path.name + ".pub")
    _create(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), PRIVATE)
    try:
        _create(public, _spki(key.public_key(), Encoding.PEM), PUBLIC)
    except UsageError:
        path.unlink()
        raise
    return path, public


def load_sealing(path: Path) -> Sealing:
    """What a sender seals with. Raises UsageError if the file does not serve for that."""
    key = _load(path)
    if isinstance(key, bytes):
        return HmacSeal(key)
    if isinstance(key, Ed25519PrivateKey):
        return Ed25519Sealing(key)
    raise UsageError(
        f"{path}: a public key, with which nothing can be sealed; give the sender the private one"
    )


def load_opening(path: Path) -> Opening:
    """What a listener opens seals with. Raises UsageError if the file does not serve for that."""
    key = _load(path)
    if isinstance(key, bytes):
        return HmacSeal(key)
    if isinstance(key, Ed25519PublicKey):
        return Ed25519Opening(key)
    raise UsageError(
        f"{path}: a private key, which only the sender may have; give listeners {path.name}.pub"
    )


def describe(path: Path) -> Description:
    """Kind and fingerprint of a key file. Raises UsageError if it holds none."""
    key = _load(path)
    if isinstance(key, bytes):
        return Description("HMAC-SHA-256 secret", _fingerprint(b"netkit hmac secret" + key))
    if isinstance(key, Ed25519PrivateKey):
        return Description("Ed25519 private key", _fingerprint(_spki(key.public_key())))
    return Description("Ed25519 public key", _fingerprint(_spki(key)))


def _create(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise UsageError(f"{path}: exists, and a key is never overwritten; name another") from None
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no folder {path.parent}; make it first") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be made ({error.strerror}); name another file") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink()
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from error


def _load(path: Path) -> Key:
    content, exposed = _read(path)
    key = _parse(path, content)
    if exposed and not isinstance(key, Ed25519PublicKey):
        raise UsageError(
            f"{path}: others may read or write this key (mode {exposed:04o}), so it is not"
            f" used; chmod 600 {path}"
        )
    return key


def _read(path: Path) -> tuple[bytes, int]:
    """The content, and the mode where others have rights to a file of our own.

    ssh refuses by the same rule: a key that another user owns, as root may for a
    service's group, is that user's care.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_LARGEST)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; {_MEND}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    mode = stat.S_IMODE(status.st_mode)
    return content, mode if status.st_uid == os.getuid() and mode & 0o077 else 0


def _parse(path: Path, content: bytes) -> Key:
    if content.lstrip().startswith(_BEGIN):
        return _secret(path, content)
    key: object = None
    try:
        if b"PRIVATE KEY-----" in content:
            key = load_pem_private_key(content, password=None)
        elif b"PUBLIC KEY-----" in content:
            key = load_pem_public_key(content)
    except TypeError:
        raise UsageError(f"{path}: an encrypted key, which nobody could unlock; {_MEND}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{path}: a damaged key; {_MEND}") from None
    if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        return key
    raise UsageError(f"{path}: holds no Ed25519 key and no HMAC secret; {_MEND}")


def _secret(path: Path, content: bytes) -> bytes:
    body, end, _ = content.strip().removeprefix(_BEGIN).partition(_END)
    try:
        secret = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        secret = b""
    if not end or len(secret) < _LEAST_SECRET:
        raise UsageError(f"{path}: a damaged HMAC secret; {_MEND} --hmac")
    return secret


def _armoured(secret: bytes) -> bytes:
    return b"\n".join((_BEGIN, base64.b64encode(secret), _END, b""))


def _spki(key: Ed25519PublicKey, encoding: Encoding = Encoding.DER) -> bytes:
    return key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def _fingerprint(of: bytes) -> str:
    digest = base64.b64encode(hashlib.sha256(of).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"
