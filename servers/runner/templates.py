"""Words with places for values: ``"--count={count}"``. A word stays one word, whatever the value.

``{{`` and ``}}`` are braces. There is nothing else: no shell, no splitting, no expansion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PARTS = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_-]*)\}|[{}]")


@dataclass(frozen=True)
class Template:
    """One word: texts and names of parameters in turn, beginning and ending with a text."""

    texts: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, word: str) -> Template:
        """Read a word. Raises `ValueError` for a brace that belongs to nothing."""
        texts, names, at = [""], [], 0
        for match in _PARTS.finditer(word):
            texts[-1] += word[at : match.start()]
            at = match.end()
            if match[1]:
                names.append(match[1])
                texts.append("")
            elif len(match[0]) == 2:
                texts[-1] += match[0][0]
            else:
                raise ValueError(f"{word!r}: a brace alone; write {match[0] * 2} for a brace")
        texts[-1] += word[at:]
        return cls(tuple(texts), tuple(names))

    def fill(self, values: Mapping[str, str]) -> str:
        """The word with values in their places."""
        parts = [self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            parts += (values[name], text)
        return "".join(parts)
