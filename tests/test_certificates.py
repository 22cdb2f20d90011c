"""The development CA and certificate: made once, private, renewed, never silently replaced."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from netkit.certificates import authority, files, names, pem
from netkit.certificates.develop import development
from netkit.certificates.folder import folder
from netkit.errors import CertificateError
from tests.peers import peer


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def replace_leaf(where: Path, subject_names: list[str], days: int) -> None:
    """Put another leaf under the same CA, with its key, in the place of the present one."""
    ca = authority.authority(where)
    key = authority.new_key()
    sans = [names.parse(name) for name in subject_names]
    leaf = authority.sign(ca, key, "localhost", sans, days=days)
    (where / "localhost-key.pem").write_bytes(authority.key_pem(key))
    (where / "localhost.pem").write_bytes(leaf.public_bytes(Encoding.PEM))


def test_folder_is_chosen_by_environment_checkout_then_user_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder() == tmp_path / "certs"
    monkeypatch.delenv("NETKIT_CERTS")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert folder() == tmp_path / "home/.local/share/netkit"
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert folder() == tmp_path / "home/.local/share/netkit"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert folder() == tmp_path / "data/netkit"
    for marker in ("src/netkit/__init__.py", "certs/README.md"):
        (tmp_path / marker).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / marker).touch()
    assert folder() == tmp_path / "certs"


def test_keys_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = development(tmp_path / "new/certs")
    finally:
        os.umask(before)
    assert mode(made.key) == 0o600
    assert mode(made.ca.parent / "ca-key.pem") == 0o600
    assert mode(made.cert) == 0o644
    assert mode(made.ca.parent) == 0o700


def test_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    development(tmp_path)
    assert mode(tmp_path) == 0o755


def test_second_call_changes_nothing(tmp_path: Path) -> None:
    made = development(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert development(tmp_path) == made
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_openssl_accepts_the_certificate(tmp_path: Path, host: str) -> None:
    made = development(tmp_path)
    option = "-verify_hostname" if host == "localhost" else "-verify_ip"
    command = [peer("openssl"), "verify", "-x509_strict", "-purpose", "sslserver"]
    subprocess.run([*command, option, host, "-CAfile", made.ca, made.cert], check=True)


def test_ca_is_constrained(tmp_path: Path) -> None:
    ca = certificate(development(tmp_path).ca).extensions
    basic = ca.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert basic.value == x509.BasicConstraints(ca=True, path_length=0)
    assert ca.get_extension_for_class(x509.NameConstraints).critical
    usage = ca.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert usage.crl_sign
    assert not usage.digital_signature


def test_leaf_lasts_at_most_398_days(tmp_path: Path) -> None:
    leaf = certificate(development(tmp_path).cert)
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days <= 398


def test_several_processes_at_once_get_the_same_files(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys; from netkit.certificates.develop import development;"
        " development(pathlib.Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", f"{script}; print(open(sys.argv[1] + '/ca.pem').read())"]
    started = [
        subprocess.Popen([*command, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    seen = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0, 0, 0, 0]
    assert seen == {(tmp_path / "ca.pem").read_text() + "\n"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock", "ca-key.pem", "ca.pem", "localhost-key.pem", "localhost.pem",
    ]  # fmt: skip
    made = development(tmp_path)
    assert pem.read_key(made.key, "").public_key() == certificate(made.cert).public_key()


@pytest.mark.parametrize(("days", "renewed"), [(29, True), (31, False)])
def test_leaf_is_renewed_in_its_last_30_days(tmp_path: Path, days: int, renewed: bool) -> None:
    made = development(tmp_path)
    ca = made.ca.read_bytes()
    replace_leaf(tmp_path, ["localhost", "127.0.0.1", "::1", *_machine()], days)
    before = made.cert.read_bytes()
    development(tmp_path)
    assert (made.cert.read_bytes() != before) == renewed
    assert made.ca.read_bytes() == ca


def _machine() -> list[str]:
    found = names.machine_name()
    return [found] if found else []


def test_leaf_is_renewed_when_a_name_is_missing(tmp_path: Path) -> None:
    made = development(tmp_path)
    replace_leaf(tmp_path, ["localhost"], 300)
    development(tmp_path)
    assert {"localhost", "127.0.0.1", "::1"} <= set(names.hosts(certificate(made.cert)))


def test_renamed_machine_still_has_a_certificate_that_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = development(tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "other.example.org")
    monkeypatch.setattr("socket.getfqdn", lambda: "other.example.org")
    replace_leaf(tmp_path, ["localhost"], 300)
    development(tmp_path)
    assert "other.example.org" not in names.hosts(certificate(made.cert))
    subprocess.run([peer("openssl"), "verify", "-CAfile", made.ca, made.cert], check=True)


def test_leaf_of_another_ca_is_renewed(tmp_path: Path) -> None:
    made, other = development(tmp_path / "a"), development(tmp_path / "b")
    made.cert.write_bytes(other.cert.read_bytes())
    made.key.write_bytes(other.key.read_bytes())
    development(tmp_path / "a")
    leaf = certificate(made.cert)
    leaf.verify_directly_issued_by(certificate(made.ca))


def test_leaf_without_its_key_is_renewed(tmp_path: Path) -> None:
    made = development(tmp_path)
    made.key.unlink()
    development(tmp_path)
    key = pem.read_key(made.key, "")
    assert key.public_key() == certificate(made.cert).public_key()


@pytest.mark.parametrize("name", ["ca.pem", "localhost.pem", "localhost-key.pem"])
def test_broken_file_is_named_and_left_alone(tmp_path: Path, name: str) -> None:
    development(tmp_path)
    (tmp_path / name).write_text("not PEM")
    with pytest.raises(CertificateError, match=name) as caught:
        development(tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / name).read_text() == "not PEM"


def test_ca_without_its_key_is_not_replaced(tmp_path: Path) -> None:
    made = development(tmp_path)
    (tmp_path / "ca-key.pem").unlink()
    development(tmp_path)  # the certificate is still good
    made.cert.unlink()
    ca = made.ca.read_bytes()
    with pytest.raises(CertificateError, match=r"ca-key\.pem: the CA's key is missing"):
        development(tmp_path)
    assert made.ca.read_bytes() == ca


def test_ca_cut_off_between_its_two_files_goes_on_with_its_key(tmp_path: Path) -> None:
    development(tmp_path)
    key = (tmp_path / "ca-key.pem").read_bytes()
    for name in ("ca.pem", "localhost.pem", "localhost-key.pem"):
        (tmp_path / name).unlink()
    made = development(tmp_path)
    assert (tmp_path / "ca-key.pem").read_bytes() == key
    subprocess.run([peer("openssl"), "verify", "-CAfile", made.ca, made.cert], check=True)


def test_foreign_ca_key_is_refused(tmp_path: Path) -> None:
    development(tmp_path / "a")
    development(tmp_path / "b")
    (tmp_path / "a/ca-key.pem").write_bytes((tmp_path / "b/ca-key.pem").read_bytes())
    (tmp_path / "a/localhost.pem").unlink()
    with pytest.raises(CertificateError, match="is not the key of"):
        development(tmp_path / "a")


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CertificateError, match="NETKIT_CERTS"):
        development(tmp_path / "file")


def test_lock_that_is_never_released_ends_in_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LOCK_SECONDS", 0.0)
    with (
        files.locked(tmp_path),
        pytest.raises(CertificateError, match="another process has held this lock"),
        files.locked(tmp_path),
    ):
        pass


def test_failed_write_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(CertificateError, match="cannot be written"):
        files.write(tmp_path / "target", b"x", files.PRIVATE)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
