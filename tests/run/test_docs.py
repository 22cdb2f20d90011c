"""The examples of docs/run.md, as a person would type them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import ROOT

FILES = {
    "a b.log": "",
    "c.log": "",
    "d/e.png": "",
    "x.gz": "",
    "people.csv": 'login,name\nada,"Lovelace, Ada"\n',
    "urls": "http://localhost/\n",
}

EXPECTED = {
    "gzip": ["gzip -9 'a b.log'", "gzip -9 c.log"],
    "convert": ["convert ./d/e.png ./d/e.jpg"],
    "zcat": ["zcat x.gz | wc -l > x.count"],
    "useradd": ["useradd -c 'Lovelace, Ada' ada"],
    "echo": [f"echo {letter}-{number}" for letter in "ab" for number in "123"],
    "fetch": ["fetch http://localhost/"],
    "make -C": ["make -C d/"],
}


def examples() -> list[str]:
    text = (ROOT / "docs" / "run.md").read_text()
    return [line[2:] for line in text.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize("line", [e for e in examples() if "Procfile" not in e])
def test_an_example(line: str, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    if "--together" in line:
        line = line.replace("make serve", "printf one").replace("npm run watch", "printf two")
        expected = ["printf | two", "web    | one"]
    else:
        line = line.replace("netkit run", "netkit run --dry-run")
        (expected,) = (EXPECTED[word] for word in EXPECTED if word in line)
    netkit = f'netkit() {{ {shlex.quote(sys.executable)} -m netkit "$@"; }}'
    told = subprocess.run(
        ["sh", "-c", f"{netkit}; {line}"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert sorted(told.stdout.splitlines()) == expected
