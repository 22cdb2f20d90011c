"""Several hosts: who gets which job, who is set aside, and when it is over."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from netkit.clients.run.hosts import hosts
from netkit.clients.run.hosts.address import Address
from netkit.clients.run.hosts.settings import Login, Machines, RemoteCommand
from netkit.clients.run.hosts.spawner import Hosts, HostsError
from netkit.subprocesses.events import Ended, Started
from netkit.subprocesses.retries import Retries
from netkit.subprocesses.runner import Runner
from tests.peers import peer
from tests.run.hosts.jobs import ran, using
from tests.run.hosts.sshd import Home, Sshd, key

Start = Callable[..., Sshd]


def refusing() -> Address:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", "root", probe.getsockname()[1])


async def why_not(spawner: Hosts) -> str:
    """What is said when no host is left for a job."""
    spawning = asyncio.create_task(spawner.spawn(RemoteCommand(("true",)), (0, 1, 2)))
    with pytest.raises(HostsError) as raised:
        await spawner.gone()
    spawning.cancel()
    await asyncio.gather(spawning, return_exceptions=True)
    return str(raised.value)


async def test_forty_jobs_where_a_connection_has_two_sessions(host: Start) -> None:
    sshd = host(sessions=2)
    async with using(sshd, jobs=8) as spawner:
        ends, written = await ran(spawner, [("echo", str(n)) for n in range(40)], limit=8)
    assert {end.status for end in ends.values()} == {0}
    assert [written[n + 1, "stdout"] for n in range(40)] == [f"{n}\n".encode() for n in range(40)]
    assert 2 <= sshd.connections <= 8


async def test_one_connection_where_its_sessions_do(host: Start) -> None:
    sshd = host()
    async with using(sshd, jobs=4) as spawner:
        await ran(spawner, [("true",)] * 20, limit=4)
    assert sshd.connections == 1


async def test_sessions_one_at_a_time(host: Start) -> None:
    async with using(host(sessions=1), jobs=1) as spawner:
        ends, _ = await ran(spawner, [("true",)] * 10, limit=1)
    assert {end.status for end in ends.values()} == {0}


async def test_jobs_go_where_there_is_most_room(host: Start) -> None:
    one, other = host(), host()
    places: Counter[str] = Counter()
    machines = Machines(
        (one.address, Address(other.address.name, other.address.user, other.port, 3))
    )
    assert machines.limit == 4
    spawner = hosts(machines, lambda line: None)
    commands = [RemoteCommand(("sh", "-c", "sleep 0.3")) for _ in range(4)]
    async with Runner(4, spawner=spawner) as runner:
        async for event in runner.map(commands):
            if isinstance(event, Started) and isinstance(event.command, RemoteCommand):
                places[event.command.whereabouts.host] += 1
    await spawner.close()
    assert places == {one.name: 1, other.name: 3}


async def test_a_host_that_refuses_is_set_aside(host: Start) -> None:
    said: list[str] = []
    good, bad = host(), refusing()
    spawner = hosts(Machines((bad, good.address), jobs=2), said.append)
    ends, _ = await ran(spawner, [("true",)] * 6, limit=4)
    await spawner.close()
    assert {end.status for end in ends.values()} == {0}
    assert len(said) == 1
    assert said[0].startswith(f"host {bad} is set aside (1 left): ")
    assert "refused" in said[0].lower()


async def test_no_host_is_left() -> None:
    spawner = hosts(Machines((refusing(), refusing())), lambda line: None)
    why = await why_not(spawner)
    await spawner.close()
    assert why.startswith("no host is left: root@127.0.0.1:")
    assert why.lower().count("refused") == 2


async def test_a_host_that_is_lost(host: Start) -> None:
    lost, other = host(), host()
    said: list[str] = []
    # Where the other host serves it, it ends at once.
    script = f'case "$SSH_CONNECTION" in *" {other.port}") ;; *) sleep 1000;; esac'
    spawner = hosts(Machines((lost.address, other.address)), said.append)
    ends, places = [], []
    async with Runner(1, spawner=spawner, retries=Retries(1, first=0.0)) as runner:
        async for event in runner.map([RemoteCommand(("sh", "-c", script))]):
            if isinstance(event, Started) and isinstance(event.command, RemoteCommand):
                places.append(event.command.whereabouts.host)
                if len(places) == 1:
                    lost.stop()
            if isinstance(event, Ended):
                ends.append(event.end)
    await spawner.close()
    assert places == [lost.name, other.name]
    assert [end.status for end in ends] == [0]
    assert len(said) == 1
    assert said[0].startswith(f"host {lost.name} is set aside (1 left): ")


async def test_a_lost_job_is_not_run_again_unasked(host: Start) -> None:
    lost, other = host(), host()
    script = "sleep 1000"
    async with using(lost, other, jobs=1) as spawner, Runner(1, spawner=spawner) as runner:
        async for event in runner.map([("sh", "-c", script), ("true",)]):
            if isinstance(event, Started) and event.job == 1:
                lost.stop()
            if isinstance(event, Ended) and event.job == 1:
                assert event.end.reason == "lost"
            if isinstance(event, Ended) and event.job == 2:
                assert event.end.status == 0


async def test_an_unknown_key(host: Start, home: Home) -> None:
    sshd = host()
    home.known.write_text("")
    async with using(sshd) as spawner:
        why = await why_not(spawner)
    assert "its key (ssh-ed25519 SHA256:" in why
    assert f"add it: ssh-keyscan -p {sshd.port} 127.0.0.1 >> ~/.ssh/known_hosts" in why
    assert sshd.connections == 0


async def test_a_changed_key(host: Start, home: Home, tmp_path: Path) -> None:
    sshd = host()
    home.known.write_text("")
    sshd.host_key = key(tmp_path / "other")
    sshd.trust()
    async with using(sshd) as spawner:
        why = await why_not(spawner)
    assert "is not the one in" in why
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in why


async def test_strict_host_key_checking_off_changes_nothing(
    host: Start, home: Home, tmp_path: Path
) -> None:
    sshd = host()
    home.known.write_text("")
    config = tmp_path / "config"
    for known in ("/dev/null", "none"):
        config.write_text(f"StrictHostKeyChecking no\nUserKnownHostsFile {known}\n")
        async with using(sshd, login=Login(config)) as spawner:
            why = await why_not(spawner)
        assert "key" in why
        assert sshd.connections == 0


async def test_a_key_that_is_not_accepted(host: Start, home: Home, tmp_path: Path) -> None:
    sshd = host()
    other = key(tmp_path / "id_other")
    async with using(sshd, login=Login(identities=(other,))) as spawner:
        why = await why_not(spawner)
    assert f"{sshd.address.user} cannot log in with {other} or what the agent has" in why
    home.key.unlink()
    async with using(sshd) as spawner:
        assert "cannot log in with the usual keys or the agent's" in await why_not(spawner)


async def test_an_identity_and_ssh_config(host: Start, home: Home, tmp_path: Path) -> None:
    sshd = host()
    moved = home.key.rename(tmp_path / "moved")
    async with using(sshd, login=Login(identities=(moved,))) as spawner:
        assert (await ran(spawner, [("true",)]))[0][1].status == 0
    (home.ssh / "config").write_text(
        f"Host alias\n  HostName 127.0.0.1\n  Port {sshd.port}\n  IdentityFile {moved}\n"
    )
    spawner = hosts(Machines((Address("alias"),)), lambda line: None)
    ends, _ = await ran(spawner, [("true",)])
    await spawner.close()
    assert ends[1].status == 0


async def test_the_agent(
    host: Start, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd = host()
    path = tmp_path / "agent"
    agent = subprocess.Popen(
        [peer("ssh-agent"), "-D", "-a", path], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert agent.stdout
    agent.stdout.readline()  # it listens by then
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    subprocess.run([peer("ssh-add"), "-q", home.key], check=True)
    home.key.unlink()
    async with using(sshd) as spawner:
        ends, _ = await ran(spawner, [("true",)])
    agent.terminate()
    agent.communicate()
    assert ends[1].status == 0


async def test_a_login_that_runs_no_commands(host: Start) -> None:
    async with using(host(more="ForceCommand echo go away")) as spawner:
        assert "does not run our line: it says 'go away'" in await why_not(spawner)


async def test_a_login_that_talks(host: Start) -> None:
    talk = 'ForceCommand echo hello; echo hello >&2; eval "$SSH_ORIGINAL_COMMAND"'
    async with using(host(more=talk)) as spawner:
        ends, written = await ran(spawner, [("echo", "mine")])
    assert ends[1].status == 0
    assert written == {(1, "stdout"): b"mine\n"}


async def test_no_sessions_at_all(host: Start) -> None:
    async with using(host(sessions=0)) as spawner:
        assert "it has no session for us" in await why_not(spawner)
