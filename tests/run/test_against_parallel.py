"""The same words give the same commands as GNU parallel: a table of cases run through both.

Most are the examples of parallel(1) and parallel_tutorial(7) for what both have.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from netkit.cli import main
from tests.peers import peer, perl_module

FILES: dict[str, str | bytes] = {
    "abc": "A\nB\nC\n",
    "def": "D\nE\nF\n",
    "abc_": "A_B_C",
    "abc0": "A\0B\0C\0",
    "tsv": "f1\tf2\nA\tB\nC\tD\n",
    "gaps": "1\n\n \n2\n",
    "passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:A User,,,:/home/u ser:/bin/bash\n",
    "bytes": b"\xff\xfe\xc3\n\xc3\xbc\n",
    "last": "a\nb",
    "people": 'login,name\nada,"Lovelace, Ada"\ngrace,Grace Hopper\n',
    "planks": '"1 big, 2 small","2""x4"" plank",12.34\n',
    "semicolons": 'a;"b;c";\n;d,e;"f ""g"""\n',
    "none": "",
    "one": "\n",
}

EXAMPLES = """
echo ::: A B C
-a abc echo
-a abc -a def echo
echo :::: abc def
echo ::: A B C :::: def
echo :::: abc ::: x y
echo {1} {2} {3} ::: 6 7 ::: 4 5 ::: 1 2 3
-a abc echo {1} {2} {3} :::: def ::: 1 2 3
--link echo ::: A B C ::: D E F
--link echo ::: A B C D E ::: F G
--link echo {1} {2} ::: 1 2 3 ::: a b c
--link echo {1} {2} {3} ::: 1 2 ::: I II III ::: a b c d e f g
echo :::: abc :::+ G H I :::: def
echo :::: abc ::: G H I ::::+ def
echo :::: abc ::::+ def abc
echo ::: A B C D E :::+ F G
echo ::: a b c :::+ 1 2 3 ::: X Y :::+ 11 22
-d _ echo :::: abc_
-d '\\0' echo :::: abc0
-0 echo :::: abc0
--no-run-if-empty echo :::: gaps
-r echo x{} :::: gaps
echo x{} :::: gaps
echo :::: last
echo :::: none
echo :::: one
-r echo :::: one
echo ::: A/B.C
echo {} ::: A/B.C
echo {.} ::: A/B.C
echo {/} ::: A/B.C
echo {//} ::: A/B.C
echo {/.} ::: A/B.C
echo {#} ::: A B C
echo {.} ::: foo.jpg subdir/foo.jpg sub.dir/foo.jpg sub.dir/bar
echo {} {.} {/} {//} {/.} ::: a/b.c/d.tar.gz /x / a. .b a/.b b/ . .. ../x // a//b 'a b/c d.e f'
echo {1} and {2} ::: A B ::: C D
echo /={1/} //={1//} /.={1/.} .={1.} ::: A/B.C D/E.F
echo 1={1} 2={2} 3={3} -1={-1} -2={-2} -3={-3} ::: A B ::: C D ::: E F
echo {1.} {2/} {3//} {-1/.} ::: a.b/c.d ::: e/f.g ::: h/i/j.k
--colsep '\\t' echo 1={1} 2={2} :::: tsv
--colsep - echo {4} {3} {2} {1} ::: A-B C-D ::: e-f g-h
--colsep : echo {1} {6} {7/} :::: passwd
--colsep '[0-9]+' echo {2} {1} ::: a1b a22c
--colsep , echo {3} {} ::: a,b,, a,,b ,a ' x , y '
--colsep , echo {.} {/} ::: a.x,b/b
--colsep , echo {2} {1} ::: a,b c
--header : echo f1={f1} f2={f2} ::: f1 A B ::: f2 C D
--header : --colsep '\\t' echo f1={f1} f2={f2} :::: tsv
--header : echo {a} {a.} {a/} {1} ::: a x/y.z 2 ::: b 3
--header : echo {a}{b} ::: a 1 2 :::+ b 3 4
--header : --colsep , echo {n} {m/} {2} ::: n,m a,b/c d,e
--header : echo x{X}y{Y}z{Z} ::: X 1 2 ::: Y 01 02 ::: Z 1 2
--csv echo {1} of {2} at {3} :::: planks
--csv echo {1} of {2} at {3} ::: '"1 big, 2 small","2""x4"" plank",12.34'
--csv --header : echo {login} {name} {2} :::: people
--csv --colsep ';' echo 1={1} 2={2} 3={3} :::: semicolons
--csv echo {2.} {1/} ::: 'a/b.c,"x, y.z"' d/e,f
-n2 echo ::: a b c
-n 2 echo x{}y {}z ::: a b c d e
-n2 echo {}={.} {2} {1/} ::: a.x b.y c.z
-N2 echo ::: a b c
-N2 echo {2}-{1} ::: a b c
-N2 echo x{}y ::: a b c
-N2 echo {}={.} {1}-{} {-1} ::: a.x b.y c.z
-N7 chown {1} {6} ::: root x 0 0 root /root /bin/sh user x 1 1 u '/home/u ser' /bin/bash
-N3 echo {.} {1/} {3} ::: a.b c.d
-N0 echo hi ::: a b c
-N0 echo {} z x{}y ::: a
-N2 echo {1} {2} {3} {4} ::: a b c ::: x y
echo x{}y {} ::: a ::: c d
echo {}={.} {1}-{} ::: a.x b.y ::: c.z
echo {3} z ::: a
echo x{2}y ::: a
echo {name} {} ::: a
echo ::: 'a b' "it's" '$x' '' '*' '~' '\\' '"' ';' '&' '`id`' 'a|b' -n -- -j {} {1} '#' 'ü' 'a\tb'
echo -n -- {} -j2 --tag ::: a
lame {} -o mydir/{/.}.mp3 ::: sound/a.wav 'sound/b c.wav'
convert -geometry 120 {} {.}_thumb.jpg ::: ./foo/bar.jpg
echo {} :::: bytes
-k -j1 echo {#}:{} ::: a b c
""".strip().splitlines()


@pytest.fixture
def parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """GNU parallel, no word left to its shell; the current folder has the examples' files."""
    program = peer("parallel")
    folder, home = tmp_path / "files", tmp_path / "home"
    for made in (folder, home):
        made.mkdir()
    for name, content in FILES.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(home))  # what it remembers
    monkeypatch.setenv("PARALLEL_SHELL", "/bin/sh")
    return [program, "--will-cite", "--keep-order", "--dry-run", "--quote"]


def lines(output: bytes) -> list[list[str]]:
    """The words of each line of commands."""
    return [shlex.split(line) for line in os.fsdecode(output).split("\n")[:-1]]


@pytest.mark.parametrize("words", EXAMPLES)
def test_the_same_commands(
    words: str, parallel: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    asked = shlex.split(words)
    if "--csv" in asked:
        perl_module("Text::CSV")
    theirs = subprocess.run(
        [*parallel, *asked], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    with pytest.raises(SystemExit) as ended:
        main(["run", "--dry-run", *asked])
    ours = capfdbinary.readouterr()
    assert (ended.value.code, ours.err) == (0, b"")
    assert lines(ours.out) == lines(theirs.stdout)
