"""Facts as a page for a browser: one file, with nothing to load and no script.

Whatever comes from the other side goes through `html.escape`; and should some of it be taken for
markup all the same, the Content-Security-Policy lets no script run and nothing be loaded.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Final

from netkit.servers.tls.facts import Facts
from netkit.servers.tls.words import Row, Section, headline, printable, sections

STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #f7f6f2; --card: #fff; --ink: #1d2327; --quiet: #666f76; --line: #e4e1d8;
  --accent: #17705a; --chip: #edf4f1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181a; --card: #1c2225; --ink: #e6e9ea; --quiet: #98a3a9; --line: #2d3539;
    --accent: #6fd3b5; --chip: #23302d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 3rem 1.25rem 4rem; max-width: 60rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif;
}
h1 { margin: 0 0 2rem; font-size: 1.6rem; font-weight: 600; line-height: 1.25; }
h1 b { color: var(--accent); font-weight: 600; overflow-wrap: anywhere; }
section {
  margin: 0 0 1.25rem; padding: 1.25rem 1.5rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .75rem;
}
h2 { margin: 0 0 .75rem; font-size: .95rem; font-weight: 600; color: var(--accent); }
dl { display: grid; grid-template-columns: 9rem 1fr; gap: .4rem 1.25rem; margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
ul { display: flex; flex-wrap: wrap; gap: .35rem; margin: 0; padding: 0; list-style: none; }
li {
  padding: .05rem .5rem; background: var(--chip); border-radius: .4rem;
  font: .8rem/1.6 ui-monospace, monospace;
}
footer { color: var(--quiet); font-size: .9rem; }
a { color: var(--accent); }
@media (max-width: 36rem) {
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .6rem; }
}
"""

POLICY: Final = (
    "default-src 'none'; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy: this style sheet, and nothing else."""


def page(facts: Facts) -> str:
    """The whole page."""
    title = _words(headline(facts))
    parts = "\n".join(_section(each) for each in sections(facts))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{_emphasised(facts)}</h1>
{parts}
<footer>The same as <a href="/json">JSON</a> and as <a href="/text">text</a>.</footer>
</body>
</html>
"""


def _emphasised(facts: Facts) -> str:
    """The headline, with what matters in it set off."""
    if facts.version is None:
        return _words(headline(facts))
    start, _, negotiated = headline(facts).rstrip(".").partition(" with ")
    return f"{_words(start)} with <b>{_words(negotiated)}</b>"


def _section(section: Section) -> str:
    rows = "\n".join(_row(each) for each in section.rows)
    return f"<section>\n<h2>{_words(section.title)}</h2>\n<dl>\n{rows}\n</dl>\n</section>"


def _row(row: Row) -> str:
    if isinstance(row.value, str):
        value = _words(row.value)
    else:
        value = f"<ul>{''.join(f'<li>{_words(each)}</li>' for each in row.value)}</ul>"
    return f"<dt>{_words(row.label)}</dt><dd>{value}</dd>"


def _words(text: str) -> str:
    return escape(printable(text))
