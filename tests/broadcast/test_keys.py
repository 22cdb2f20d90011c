"""Key files: made private and once, read back, refused with one clear line."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from netkit.errors import UsageError
from netkit.feeds import keys
from netkit.feeds.format import Header, Kind, MalformedError
from tests.peers import peer

DATAGRAM = Header(Kind.DATA, 1, 2, 3, 4).pack() + b"payload"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def line(path: Path, call: object = keys.describe) -> str:
    """The one line with which a file is refused; it begins with the file's name."""
    assert callable(call)
    with pytest.raises(UsageError) as caught:
        call(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_a_pair_seals_and_opens(tmp_path: Path) -> None:
    made = keys.new(tmp_path / "feed.key")
    assert made == (tmp_path / "feed.key", tmp_path / "feed.key.pub")
    assert [mode(path) for path in made] == [0o600, 0o644]
    sealed = keys.load_sealing(made[0]).seal(DATAGRAM)
    assert keys.load_opening(made[1]).open(sealed) == len(DATAGRAM)


def test_a_secret_seals_and_opens(tmp_path: Path) -> None:
    (made,) = keys.new(tmp_path / "feed.secret", hmac=True)
    assert mode(made) == 0o600
    sealed = keys.load_sealing(made).seal(DATAGRAM)
    assert keys.load_opening(made).open(sealed) == len(DATAGRAM)
    (other,) = keys.new(tmp_path / "other.secret", hmac=True)
    with pytest.raises(MalformedError, match="forged"):
        keys.load_opening(other).open(sealed)


@pytest.mark.parametrize("umask", [0, 0o077])
def test_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        made = keys.new(tmp_path / "feed.key")
    finally:
        os.umask(before)
    assert mode(made[0]) == 0o600


def test_both_halves_have_one_fingerprint_which_openssl_tells_too(tmp_path: Path) -> None:
    private, public = keys.new(tmp_path / "feed.key")
    told = keys.describe(private), keys.describe(public)
    assert [each.kind for each in told] == ["Ed25519 private key", "Ed25519 public key"]
    assert told[0].fingerprint == told[1].fingerprint
    der = subprocess.run(
        [peer("openssl"), "pkey", "-in", str(private), "-pubout", "-outform", "DER"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    digest = base64.b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    assert told[0].fingerprint == f"SHA256:{digest}"


def test_a_key_that_openssl_made(tmp_path: Path) -> None:
    path = tmp_path / "feed.key"
    command = [peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", str(path)]
    subprocess.run(command, capture_output=True, check=True)
    path.chmod(0o600)
    assert keys.describe(path).kind == "Ed25519 private key"


@pytest.mark.parametrize("hmac", [False, True])
def test_nothing_is_overwritten(tmp_path: Path, hmac: bool) -> None:
    path = tmp_path / "feed.key"
    path.write_text("mine")
    assert line(path, lambda path: keys.new(path, hmac=hmac)).startswith("exists")
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "feed.key"
    path.symlink_to(tmp_path / "elsewhere")
    assert line(path, keys.new).startswith("exists")
    assert not (tmp_path / "elsewhere").exists()


def test_no_half_of_a_pair_is_left(tmp_path: Path) -> None:
    public = tmp_path / "feed.key.pub"
    public.write_text("mine")
    with pytest.raises(UsageError, match=r"feed\.key\.pub: exists"):
        keys.new(tmp_path / "feed.key")
    assert list(tmp_path.iterdir()) == [public]


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "there is no folder" in line(tmp_path / "no" / "feed.key", keys.new)


def test_what_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert "there is no such file" in line(path)
    assert "Is a directory" in line(tmp_path)
    for content in (b"", b"\xff\xfe", b"hello", b"A" * 100_000):
        path.write_bytes(content)
        assert "holds no Ed25519 key" in line(path)


def test_damaged_keys(tmp_path: Path) -> None:
    private, public = keys.new(tmp_path / "feed.key")
    (secret,) = keys.new(tmp_path / "feed.secret", hmac=True)
    for path in (private, public):
        path.write_text(path.read_text().replace("M", "*", 1))
        assert "a damaged key" in line(path)
    whole = secret.read_text()
    short = base64.b64encode(bytes(15)).decode()
    for text in (
        whole.replace("END", "ENT"),
        whole.replace("=", ""),
        "\n".join((whole.splitlines()[0], short, whole.splitlines()[2])),
    ):
        secret.write_text(text)
        assert "a damaged HMAC secret" in line(secret)


def test_other_kinds_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "feed.key"
    path.touch(0o600)
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert "holds no Ed25519 key" in line(path)
    locked = BestAvailableEncryption(b"password")
    ours = Ed25519PrivateKey.generate()
    path.write_bytes(ours.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    assert "an encrypted key" in line(path)


def test_each_half_at_its_side(tmp_path: Path) -> None:
    private, public = keys.new(tmp_path / "feed.key")
    assert "give the sender the private one" in line(public, keys.load_sealing)
    assert "give listeners feed.key.pub" in line(private, keys.load_opening)


@pytest.mark.parametrize("rights", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, rights: int) -> None:
    private, public = keys.new(tmp_path / "feed.key")
    (secret,) = keys.new(tmp_path / "feed.secret", hmac=True)
    for path in (private, secret):
        path.chmod(rights)
        assert f"(mode {rights:04o})" in line(path)
        assert f"chmod 600 {path}" in line(path)
    public.chmod(rights)
    assert keys.describe(public).kind == "Ed25519 public key"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
def test_a_key_of_another_user_is_his_care(tmp_path: Path) -> None:
    (secret,) = keys.new(tmp_path / "feed.secret", hmac=True)
    os.chown(secret, 12345, 0)
    secret.chmod(0o640)
    assert keys.describe(secret).kind == "HMAC-SHA-256 secret"


def netkit(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netkit", *map(str, words)], capture_output=True, text=True
    )


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "feed.key"
    made = netkit("keys", "new", path)
    shown = netkit("keys", "show", f"{path}.pub")
    assert (made.returncode, shown.returncode) == (0, 0)
    fingerprint = keys.describe(path).fingerprint
    assert fingerprint in made.stdout
    assert shown.stdout.split() == ["kind", "Ed25519", "public", "key", "fingerprint", fingerprint]
    again = netkit("keys", "new", path)
    assert again.returncode == 2
    assert again.stderr.splitlines() == [
        f"netkit: error: {path}: exists, and a key is never overwritten; name another"
    ]


def test_the_command_makes_a_secret(tmp_path: Path) -> None:
    assert netkit("keys", "new", "--hmac", tmp_path / "feed.secret").returncode == 0
    shown = netkit("keys", "show", tmp_path / "feed.secret").stdout
    assert "HMAC-SHA-256 secret" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["feed.secret"]
