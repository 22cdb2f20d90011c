"""``netkit certs``: the development CA, who trusts it, and certificates in words."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from netkit.certificates import files, issuing, trust
from netkit.certificates.describe import Description, describe
from netkit.certificates.develop import development
from netkit.certificates.folder import ca_path, folder
from netkit.errors import CertificateError, UsageError
from netkit.tls.probe import probe

app = typer.Typer(help="The development CA: where it is, who trusts it, and more certificates.")

_EPILOG_ISSUE = """Examples:\n
netkit certs issue shop.test '*.shop.test' 192.168.1.20\n
netkit certs issue --client alice --password-file alice.txt
"""
_EPILOG_SHOW = """Examples:\n
netkit certs show\n
netkit certs show server.pem\n
netkit certs show localhost:6697
"""
_EPILOG_TRUST = """Examples:\n
netkit certs trust\n
netkit certs trust --browser
"""
System = Annotated[bool, typer.Option("--system", help="Only the system's store.")]
Browser = Annotated[bool, typer.Option("--browser", help="Only the browsers' store (NSS).")]


@app.callback(
    invoke_without_command=True,
    epilog="Examples:\n\nnetkit certs\n\nnetkit certs trust\n\nnetkit certs show localhost:6697",
)
def overview(context: typer.Context) -> None:
    """Print where the development CA is, and how other programs are made to trust it."""
    if context.invoked_subcommand is not None:
        return
    made = development()
    ca, leaf = _describe(made.ca), _describe(made.cert)
    _table(
        [
            ("folder", str(made.ca.parent)),
            ("CA", str(made.ca)),
            ("SHA-256", ca.sha256),
            ("valid to", f"{ca.not_after:%Y-%m-%d} ({ca.days_left} days left)"),
            ("certificate", f"{made.cert}, for {', '.join(leaf.names)}"),
        ]
    )
    typer.echo("\nOne program that trusts it (put your server's port):")
    _table(_program_lines(made.ca))
    typer.echo("\nEverything on this machine (or: netkit certs trust):")
    _table(_store_lines(made.ca))


@app.command("trust", epilog=_EPILOG_TRUST)
def trust_ca(system: System = False, browser: Browser = False) -> None:
    """Make the system and the browsers trust the development CA, where you may.

    What needs other rights or programs is printed, for you to run.
    """
    ca = development().ca
    for store in _stores(system, browser):
        _tell(store.trust(ca))


@app.command("untrust", epilog=_EPILOG_TRUST.replace("trust", "untrust"))
def untrust_ca(system: System = False, browser: Browser = False) -> None:
    """Undo `netkit certs trust`. Do this before you delete the CA."""
    ca = ca_path(folder())
    for store in _stores(system, browser):
        _tell(store.untrust(ca))


@app.command(epilog=_EPILOG_ISSUE)
def issue(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Host names and addresses; a client's one name."),
    ],
    client: Annotated[
        bool, typer.Option("--client", help="For a client (mutual TLS): PEM and PKCS#12.")
    ] = False,
    password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its first line encrypts the PKCS#12 file."),
    ] = None,
    days: Annotated[int, typer.Option(help="How long it is valid, in days.")] = 365,
) -> None:
    """Make a certificate signed by the development CA."""
    if password_file is not None and not client:
        raise UsageError("--password-file: only a client's PKCS#12 file is encrypted; add --client")
    password = None if password_file is None else _password(password_file)
    made = issuing.issue(names, client=client, days=days, password=password)
    rows = [("certificate", str(made.cert)), ("key", str(made.key))]
    if made.pkcs12 is not None:
        lock = "with your password" if password else "without a password"
        rows.append(("for browsers", f"{made.pkcs12} ({lock})"))
    flags = ("--cert", "--key") if client else ("--ssl-certfile", "--ssl-keyfile")
    command = f"{flags[0]} {_q(made.cert)} {flags[1]} {_q(made.key)}"
    rows.append(("use it with", command))
    _table(rows)


@app.command(epilog=_EPILOG_SHOW)
def show(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[FILE|HOST:PORT]", help="By default netkit's own certificates."),
    ] = None,
) -> None:
    """Explain a certificate file, or what a live server shows and whether it verifies."""
    live = re.fullmatch(r"(?:\[([^\]]+)\]|([^:/]+)):(\d{1,5})", what or "")
    if what is None:
        made = development()
        _show_file(made.ca)
        typer.echo()
        _show_file(made.cert)
    elif live and not Path(what).exists():
        _show_server(live[1] or live[2], int(live[3]))
    else:
        _show_file(Path(what))


def _show_file(path: Path) -> None:
    content = files.read(path)
    try:
        if b"-----BEGIN" in content:
            found = x509.load_pem_x509_certificates(content)
        else:
            found = [x509.load_der_x509_certificate(content)]
    except ValueError as error:
        raise CertificateError(
            f"{path}: holds no readable certificate; give a PEM or DER certificate, or HOST:PORT"
        ) from error
    for certificate in found:
        typer.echo(f"{path}:")
        _explain(certificate.public_bytes(Encoding.DER))


def _show_server(host: str, port: int) -> None:
    if not 0 < port < 65536:
        raise UsageError(f"{host}:{port}: a port is a number from 1 to 65535")
    seen = probe(host, port)
    for certificate in seen.certificates:
        _explain(certificate)
        typer.echo()
    typer.echo(f"  {'spoken':<8} {seen.version}, {seen.cipher}")
    verdict = "yes" if seen.refused is None else f"no: {seen.refused.text}"
    typer.echo(f"  {'verifies':<8} {verdict}")


def _explain(der: bytes) -> None:
    for line in describe(der).lines():
        typer.echo(f"  {line}")


def _describe(path: Path) -> Description:
    return describe(files.read(path))


def _program_lines(ca: Path) -> list[tuple[str, str]]:
    path = _q(ca)
    return [
        ("curl", f"curl --cacert {path} https://localhost:PORT/"),
        (
            "openssl",
            f"openssl s_client -verify_return_error -CAfile {path} -connect localhost:PORT",
        ),
        ("ncat", f"ncat --ssl-verify --ssl-trustfile {path} localhost PORT"),
        ("socat", f"socat - OPENSSL:localhost:PORT,cafile={path}"),
        ("irssi", f"/connect -tls -tls_verify -tls_cafile {ca} localhost PORT"),
        ("Python", f"ssl.create_default_context(cafile={str(ca)!r})"),
        ("others", f"SSL_CERT_FILE={path} PROGRAM (whatever is built on OpenSSL)"),
    ]


def _store_lines(ca: Path) -> list[tuple[str, str]]:
    return [
        ("Debian", trust.DebianStore().by_hand(ca)),
        ("Fedora", trust.FEDORA.by_hand(ca)),
        ("macOS", trust.MACOS.by_hand(ca)),
        ("browsers", trust.browser_store().by_hand(ca)),
    ]


def _stores(
    system: bool, browser: bool
) -> list[trust.DebianStore | trust.ByHandStore | trust.BrowserStore]:
    """Return the stores that were asked for; both if none was named."""
    chosen: list[trust.DebianStore | trust.ByHandStore | trust.BrowserStore] = []
    if system or not browser:
        chosen.append(trust.system_store())
    if browser or not system:
        chosen.append(trust.browser_store())
    return chosen


def _tell(outcome: trust.Outcome) -> None:
    sign = "done" if outcome.done else "todo"
    command = f": {outcome.command}" if outcome.command else ""
    typer.echo(f"{outcome.store:<8} {sign}  {outcome.text}{command}")


def _password(path: Path) -> str:
    lines = files.read(path).decode("utf-8", "replace").splitlines()
    if not lines or not lines[0]:
        raise UsageError(f"--password-file {path}: its first line is empty; put the password there")
    return lines[0]


def _table(rows: list[tuple[str, str]]) -> None:
    width = max(len(label) for label, _ in rows)
    for label, value in rows:
        typer.echo(f"  {label:<{width}}  {value}")


def _q(path: Path) -> str:
    return shlex.quote(str(path))
