"""A real sshd on the loopback, with keys, configuration and homes of its own.

Jobs have its folder as HOME, so that nobody's ~/.bashrc is run; they still begin in the real
home of the user, which is passwd(5)'s.
"""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

from netkit.clients.run.hosts.address import Address
from tests.peers import peer

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxSessions {sessions}
Subsystem sftp internal-sftp
SetEnv HOME={folder}
{more}
"""


def key(path: Path, passphrase: str = "") -> Path:
    """A new key pair; the path of the private one."""
    subprocess.run(
        [peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True
    )
    return path


class Home:
    """A home folder with a key that gets in, and a file of known hosts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ssh = path / ".ssh"
        self.ssh.mkdir(parents=True, mode=0o700)
        self.key = key(self.ssh / "id_ed25519")
        self.known = self.ssh / "known_hosts"
        self.known.touch()


class Sshd:
    """One that runs, until `stop`."""

    def __init__(self, folder: Path, home: Home, *, sessions: int = 10, more: str = "") -> None:
        folder.mkdir(parents=True)
        self.folder, self._home = folder, home
        self.host_key = key(folder / "host_key")
        (folder / "authorized_keys").write_bytes(home.key.with_suffix(".pub").read_bytes())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        config = folder / "sshd_config"
        config.write_text(
            CONFIG.format(port=self.port, folder=folder, sessions=sessions, more=more)
        )
        program = "/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else peer("sshd")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # what it locks itself into
        self._process = subprocess.Popen(
            [program, "-D", "-e", "-f", config],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self.log: list[str] = []
        self._listening = threading.Event()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        self._listening.wait(10)
        assert self._process.poll() is None, self.log
        self.trust()

    @property
    def name(self) -> str:
        """As netkit names it."""
        return str(self.address)

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", getpass.getuser(), self.port)

    def trust(self) -> None:
        """Make its key known."""
        algorithm, public, *_ = self.host_key.with_suffix(".pub").read_text().split()
        with self._home.known.open("a") as known:
            known.write(f"[127.0.0.1]:{self.port} {algorithm} {public}\n")

    def stop(self) -> None:
        """End it, and its sessions, at once. May be called twice."""
        for pid in [*self.sessions(), self._process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()
        self._reading.join()
        if self._process.stderr:
            self._process.stderr.close()

    def cut(self) -> None:
        """End its sessions, and let it run."""
        for pid in self.sessions():
            os.kill(pid, signal.SIGKILL)

    def sessions(self) -> list[int]:
        """The processes of sshd that serve connections."""
        found = []
        for pid in children(self._process.pid):
            found += [pid, *(each for each in children(pid) if named(each) == "sshd")]
        return found

    @property
    def connections(self) -> int:
        """How many were accepted so far."""
        return sum(line.startswith("Accepted publickey") for line in self.log)

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self.log.append(line.decode(errors="replace").rstrip())
            if b"Server listening" in line:
                self._listening.set()
        self._listening.set()


def children(pid: int) -> list[int]:
    """Of a process, now."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def named(pid: int) -> str:
    """The program of a process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
