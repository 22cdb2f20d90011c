"""``netkit certs``, as a person would type it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from netkit.certificates import authority, names, trust
from netkit.certificates.describe import describe
from netkit.certificates.develop import development
from netkit.cli.certs import app
from netkit.errors import NetkitError
from tests.handshakes import local
from tests.peers import peer


def certs(*arguments: str) -> str:
    """Run the command and return what it printed; raise the error that it ended with."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=True)
    if isinstance(result.exception, NetkitError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_overview_tells_where_and_how() -> None:
    said, made = certs(), development()
    assert describe(made.ca.read_bytes()).sha256 in said
    for line in (
        f"curl --cacert {made.ca} https://localhost:PORT/",
        f"openssl s_client -verify_return_error -CAfile {made.ca} -connect localhost:PORT",
        f"/connect -tls -tls_verify -tls_cafile {made.ca} localhost PORT",
        f"ssl.create_default_context(cafile='{made.ca}')",
        "sudo update-ca-certificates",
        f"sudo trust anchor --store {made.ca}",
        "sudo security add-trusted-cert",
        "certutil -A -d sql:",
    ):
        assert line in said


@pytest.mark.parametrize("command", [(), ("trust",), ("untrust",), ("issue",), ("show",)])
def test_help_has_examples(command: tuple[str, ...]) -> None:
    said = certs(*command, "--help")
    assert "Examples:" in said
    assert "netkit certs" in said


def test_issue_server_and_client(own_certificates: Path, tmp_path: Path) -> None:
    said = certs("issue", "shop.test", "192.168.1.20", "--days", "9")
    cert = own_certificates / "issued/shop.test.pem"
    assert f"--ssl-certfile {cert}" in said
    assert describe(cert.read_bytes()).names == ("shop.test", "192.168.1.20")
    (tmp_path / "secret").write_text("hush\n")
    said = certs("issue", "--client", "alice", "--password-file", str(tmp_path / "secret"))
    p12 = own_certificates / "issued/alice-client.p12"
    assert f"{p12} (with your password)" in said
    command = [peer("openssl"), "pkcs12", "-in", str(p12), "-passin", "pass:hush", "-noout"]
    subprocess.run(command, check=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["issue", "example.com"], "may not sign for this name"),
        (["issue", "a.test", "--days", "9999"], "--days 9999"),
        (["issue", "a.test", "--password-file", "x"], "add --client"),
        (["issue", "--client", "alice", "bob"], "exactly one name"),
        (["show", "/no/such"], "/no/such: there is no such file"),
        (["show", "localhost:99999"], "from 1 to 65535"),
        (["untrust", "--browser"], "there is no such file"),
    ],
)
def test_wrong_use_is_one_line(home: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(NetkitError, match=said) as caught:
        certs(*arguments)
    assert "\n" not in str(caught.value)


def test_show_explains_files(own_certificates: Path, tmp_path: Path) -> None:
    assert "names    localhost, 127.0.0.1, ::1" in certs("show")
    made = development()
    (tmp_path / "chain.pem").write_bytes(made.cert.read_bytes() + made.ca.read_bytes())
    assert certs("show", str(tmp_path / "chain.pem")).count("SHA-256") == 2
    with pytest.raises(NetkitError, match="holds no readable certificate"):
        certs("show", str(made.key))
    ca = authority.authority(own_certificates)
    old = authority.sign(ca, ca.key, "old", [names.parse("a.test")], days=0)
    (tmp_path / "old.der").write_bytes(old.public_bytes(Encoding.DER))
    assert "problem  expired on" in certs("show", str(tmp_path / "old.der"))


async def test_show_explains_a_live_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=local().context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        said = await asyncio.to_thread(certs, "show", f"localhost:{port}")
        assert "TLSv1.3" in said
        assert "verifies yes" in said
        monkeypatch.setenv("NETKIT_CERTS", str(tmp_path / "empty"))
        said = await asyncio.to_thread(certs, "show", f"localhost:{port}")
        assert "verifies no: " in said
        assert "--ca-certs" in said


async def test_show_of_a_plain_server_is_one_line() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 plain text\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NetkitError, match=f"127.0.0.1:{port}: "):
            await asyncio.to_thread(certs, "show", f"127.0.0.1:{port}")


def test_browsers_trust_and_untrust(home: Path) -> None:
    certutil, made = peer("certutil"), development()
    database = f"sql:{home}/.pki/nssdb"
    said = certs("trust", "--browser")
    assert "browser  done" in said
    assert "system" not in said
    subprocess.run([certutil, "-A", "-d", database, "-n", "leaf", "-t", ",,", "-i", made.cert],
                   check=True)  # fmt: skip
    verify = [certutil, "-V", "-d", database, "-n", "leaf", "-u", "V", "-e"]
    subprocess.run(verify, check=True, stdout=subprocess.DEVNULL)
    assert "done" in certs("trust", "--browser")  # a second time
    assert "no longer trusts" in certs("untrust", "--browser")
    assert subprocess.run(verify, check=False, capture_output=True).returncode != 0
    assert "does not have" in certs("untrust", "--browser")


def test_browser_store_without_certutil_gives_the_command(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = development().ca
    monkeypatch.setattr(trust, "_find", lambda program: None)
    outcome = trust.BrowserStore(home).trust(ca)
    assert not outcome.done
    assert (outcome.command or "").startswith("certutil -A -d sql:")


def test_debian_store_in_a_folder_of_the_test(tmp_path: Path) -> None:
    ca, folder = development().ca, tmp_path / "store"
    folder.mkdir()
    good = trust.DebianStore(folder, update="true")
    assert good.trust(ca).done
    (copy,) = folder.iterdir()
    assert copy.suffix == ".crt"
    assert copy.read_bytes() == ca.read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o644
    assert good.untrust(ca).done
    assert list(folder.iterdir()) == []
    assert good.untrust(ca).text.endswith("does not have the CA")
    failing = trust.DebianStore(folder, update="false").trust(ca)
    assert not failing.done
    assert "failed (exit status 1)" in failing.text
    absent = trust.DebianStore(tmp_path / "absent").trust(ca)
    assert not absent.done
    assert "sudo update-ca-certificates" in (absent.command or "")


def test_other_systems_print_the_command() -> None:
    ca = development().ca
    assert trust.FEDORA.trust(ca).command == f"sudo trust anchor --store {ca}"
    assert trust.FEDORA.untrust(ca).command == f"sudo trust anchor --remove {ca}"
    assert (trust.MACOS.untrust(ca).command or "").endswith(f"remove-trusted-cert -d {ca}")
