"""Avahi, the mDNS responder of most Linux systems, on a host of its own (see `namespaces`).

Its daemon has fixed paths under /run and talks to its programs by the system's D-Bus, so it
gets a /run and a bus that nobody else sees.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.broadcast.namespaces import Host
from tests.peers import peer

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={bus}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>
"""
CONFIGURATION = """[server]
host-name=avahi
use-ipv4=yes
use-ipv6=yes
allow-interfaces=eth0
enable-dbus=yes
[publish]
publish-workstation=no
"""
# The daemon says on standard error when it has begun, and stays in the foreground.
IN_A_RUN_OF_ITS_OWN = 'mount -t tmpfs none /run && mkdir /run/avahi-daemon && exec "$@"'


class Avahi:
    """A daemon that runs; `command` gives the words that run one of its programs."""

    def __init__(self, host: Host, bus: Path) -> None:
        self._host, self._bus = host, bus

    def command(self, program: str, *words: str) -> list[str | Path]:
        """The words that run a program against this daemon."""
        variable = f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={self._bus}"
        return self._host.command("env", variable, peer(program), *words)

    def run(self, program: str, *words: str) -> str:
        """Run one to its end; what it said."""
        done = subprocess.run(
            self.command(program, *words), capture_output=True, text=True, check=True
        )
        return done.stdout


@contextmanager
def avahi(host: Host, folder: Path) -> Iterator[Avahi]:
    """The daemon on this host until the block ends."""
    bus, wanted, configuration = folder / "bus", folder / "bus.conf", folder / "avahi.conf"
    wanted.write_text(BUS.format(bus=bus))
    configuration.write_text(CONFIGURATION)
    daemon: list[str | Path] = [
        *host.command("unshare", "--mount", "sh", "-c", IN_A_RUN_OF_ITS_OWN, "sh"),
        peer("avahi-daemon"), "--no-drop-root", "--no-chroot", "--no-rlimits",
        "--file", configuration,
    ]  # fmt: skip
    words: list[str | Path] = [
        peer("dbus-daemon"),
        "--nofork",
        "--print-address",
        "--config-file",
        wanted,
    ]
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}"}
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as messages,
        ended(messages),
    ):
        assert messages.stdout
        assert messages.stdout.readline()
        with (
            subprocess.Popen(daemon, env=environment, stderr=subprocess.PIPE, text=True) as process,
            ended(process),
        ):
            assert process.stderr
            said = []
            for line in process.stderr:
                said.append(line)
                if "Server startup complete" in line:
                    break
            else:
                raise AssertionError("".join(said))
            yield Avahi(host, bus)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End it after the block."""
    try:
        yield
    finally:
        process.terminate()
        process.wait()
