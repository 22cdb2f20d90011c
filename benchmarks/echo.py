"""The echo benchmark: ``python benchmarks/echo.py`` prints one table; README.md explains it."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # A script's own folder leads sys.path; its modules are imported as benchmarks.… instead.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.suite import main

    sys.exit(main())
