"""Trust stores: making this machine's programs accept the development CA, and undoing it.

A store is changed only where the user may change it and the program that belongs
to it is installed; otherwise the outcome is the exact command to run by hand.
No shell is involved, and no command asks for a password.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes

from netkit.certificates import files, pem

DEBIAN_FOLDER = Path("/usr/local/share/ca-certificates")
_SECONDS = 60.0  # update-ca-certificates runs hooks (Java's store), which may take a while


@dataclass(frozen=True)
class Outcome:
    """What became of one store: `done`, or the `command` for the user to run."""

    store: str
    done: bool
    text: str
    command: str | None = None


@dataclass(frozen=True)
class DebianStore:
    """The system store of Debian and its kin: a folder of .crt files, then a program."""

    folder: Path = DEBIAN_FOLDER
    update: str = "update-ca-certificates"

    def trust(self, ca: Path) -> Outcome:
        """Copy the CA into the folder and rebuild the bundle, if this user may."""
        target = self._target(ca)

        def copy() -> None:
            files.write(target, files.read(ca), files.PUBLIC)

        return self._change(self.by_hand(ca), "trusts the CA", copy)

    def untrust(self, ca: Path) -> Outcome:
        """Take the CA out of the folder and rebuild the bundle, if this user may."""
        target = self._target(ca)
        if not target.exists():
            return Outcome("system", True, f"{self.folder} does not have the CA")
        by_hand = f"sudo rm {_q(target)} && sudo {self.update} --fresh"
        return self._change(by_hand, "no longer trusts the CA", target.unlink, "--fresh")

    def by_hand(self, ca: Path) -> str:
        """Return the command that adds the CA."""
        return f"sudo cp {_q(ca)} {_q(self._target(ca))} && sudo {self.update}"

    def _target(self, ca: Path) -> Path:
        return self.folder / f"{_label(ca)}.crt"

    def _change(
        self, by_hand: str, done: str, change: Callable[[], object], *flags: str
    ) -> Outcome:
        program = _find(self.update)
        if program is None or not os.access(self.folder, os.W_OK):
            return Outcome("system", False, "needs administrator rights; run", by_hand)
        change()
        problem = _run([program, *flags])
        if problem:
            return Outcome("system", False, f"{self.update} failed ({problem}); run", by_hand)
        return Outcome("system", True, f"the system {done}")


@dataclass(frozen=True)
class ByHandStore:
    """A system store that only its administrator can change: the commands are printed."""

    add: tuple[str, ...]
    remove: tuple[str, ...]

    def trust(self, ca: Path) -> Outcome:
        """Return the command that adds the CA."""
        return self._outcome(self.by_hand(ca))

    def untrust(self, ca: Path) -> Outcome:
        """Return the command that removes the CA."""
        return self._outcome(" ".join([*self.remove, _q(ca)]))

    def by_hand(self, ca: Path) -> str:
        """Return the command that adds the CA."""
        return " ".join([*self.add, _q(ca)])

    def _outcome(self, command: str) -> Outcome:
        return Outcome("system", False, "needs administrator rights; run", command)


FEDORA = ByHandStore(
    add=("sudo", "trust", "anchor", "--store"), remove=("sudo", "trust", "anchor", "--remove")
)
MACOS = ByHandStore(
    add=(
        *("sudo", "security", "add-trusted-cert", "-d", "-r", "trustRoot"),
        *("-k", "/Library/Keychains/System.keychain"),
    ),
    remove=("sudo", "security", "remove-trusted-cert", "-d"),
)


@dataclass(frozen=True)
class BrowserStore:
    """The NSS database of Chrome and Chromium on Linux; Firefox has one in each profile."""

    database: Path

    def trust(self, ca: Path) -> Outcome:
        """Add the CA for TLS servers only; makes the database if there is none."""
        add = self._add(ca)
        program, missing = _certutil(add)
        if program is None:
            return missing
        if not (self.database / "cert9.db").exists():
            self.database.mkdir(mode=0o700, parents=True, exist_ok=True)
            _run([program, "-N", "-d", self._where(), "--empty-password"])
        problem = _run([program, *add])
        if problem:
            return Outcome("browser", False, f"certutil failed ({problem}); run", _line(add))
        return Outcome("browser", True, f"{self.database} trusts the CA; restart the browser")

    def untrust(self, ca: Path) -> Outcome:
        """Remove the CA from the database, if it is there."""
        remove = ["-D", "-d", self._where(), "-n", _label(ca)]
        program, missing = _certutil(remove)
        if program is None:
            return missing
        if _run([program, "-L", "-d", self._where(), "-n", _label(ca)]):
            return Outcome("browser", True, f"{self.database} does not have the CA")
        problem = _run([program, *remove])
        if problem:
            return Outcome("browser", False, f"certutil failed ({problem}); run", _line(remove))
        return Outcome("browser", True, f"{self.database} no longer trusts the CA")

    def by_hand(self, ca: Path) -> str:
        """Return the command that adds the CA to a database that exists."""
        return _line(self._add(ca))

    def _add(self, ca: Path) -> list[str]:
        return ["-A", "-d", self._where(), "-n", _label(ca), "-t", "C,,", "-i", str(ca)]

    def _where(self) -> str:
        return f"sql:{self.database}"


def system_store() -> DebianStore | ByHandStore:
    """Return this machine's system store."""
    if sys.platform == "darwin":
        return MACOS
    return DebianStore() if DEBIAN_FOLDER.is_dir() else FEDORA


def browser_store() -> BrowserStore:
    """Return this user's browser store, ``~/.pki/nssdb``."""
    return BrowserStore(Path.home() / ".pki/nssdb")


def _label(ca: Path) -> str:
    """Return the CA's name in a store; two CAs of one machine have different ones."""
    certificate = pem.read_certificate(ca, "put the right file back")
    return f"netkit-{certificate.fingerprint(hashes.SHA256()).hex()[:12]}"


def _find(program: str) -> str | None:
    # Debian keeps administrators' programs in /usr/sbin, which is not in a user's PATH.
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def _certutil(arguments: list[str]) -> tuple[str | None, Outcome]:
    missing = Outcome(
        "browser", False, "install certutil (Debian: libnss3-tools), then run", _line(arguments)
    )
    return _find("certutil"), missing


def _run(command: list[str]) -> str | None:
    """Run a program; return None if it went well, or the last line that it wrote."""
    try:
        ran = subprocess.run(  # noqa: S603 - our own program names, and paths as single arguments
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if ran.returncode == 0:
        return None
    lines = (ran.stderr or ran.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit status {ran.returncode}"


def _line(arguments: list[str]) -> str:
    return shlex.join(["certutil", *arguments])


def _q(path: Path) -> str:
    return shlex.quote(str(path))
