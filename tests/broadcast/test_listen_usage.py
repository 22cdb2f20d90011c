"""What one may not ask of ``netkit listen``: each is one line."""

from __future__ import annotations

import pytest

from netkit.cli import main


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        ("", 2, "say what to listen to: ADDR:PORT, such as 239.1.2.3:9999, or --subscribe"),
        ("127.0.0.1:0 --subscribe x:1", 2, "say what to listen to"),
        ("no:port", 2, "listen 'no:port': 'port' is not a port"),
        ("tcp://127.0.0.1:1", 2, "tcp://127.0.0.1:1: feeds are UDP; write it like 239.1.2.3:9999"),
        ("--subscribe 127.0.0.1:0", 2, "--subscribe 127.0.0.1:0: port 0 is no sender's"),
        ("--subscribe no.such.host.invalid:1", 1, "unknown host no.such.host.invalid"),
        ("--subscribe x:1 --source 192.0.2.1", 2, "--source is for groups"),
        ("--raw --key k 127.0.0.1:0", 2, "--raw --key: that needs the header"),
        ("--raw --subscribe x:1", 2, "--raw --subscribe: that needs the header"),
        ("--json --null 127.0.0.1:0", 2, "--json, --null and --no-newline: give one of them"),
        ("--count 0 127.0.0.1:0", 2, "--count 0: give a number above 0"),
        ("--duration nan 127.0.0.1:0", 2, "--duration nan: give a number above 0"),
        ("--hold -1 127.0.0.1:0", 2, "--hold -1: give a number above 0"),
        ("--key /nowhere 127.0.0.1:0", 2, "/nowhere: there is no such file"),
        ("--exec no-such-command 127.0.0.1:0", 2, "--exec no-such-command: there is no such"),
        ("--record /nowhere/x 127.0.0.1:0", 2, "--record /nowhere/x: No such file or directory"),
        ("--pcap /nowhere/x 127.0.0.1:0", 2, "--pcap /nowhere/x: No such file or directory"),
        ("--interface nowhere0 239.1.2.3:1", 2, "--interface 'nowhere0': no interface has that"),
        ("--source 192.0.2.1 127.0.0.1:0", 2, "--source 192.0.2.1: 127.0.0.1 is not a multicast"),
        ("192.0.2.1:9999", 3, "cannot listen on 192.0.2.1:9999: from this machine there is no"),
    ],
)
def test_bad_input_is_one_line(
    words: str, status: int, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["listen", *words.split()])
    assert ended.value.code == status
    out, said = capfd.readouterr()
    assert out == ""
    assert said.startswith(f"netkit: error: {line}")
    assert said.count("\n") == 1
