"""Put what `sitsr evaluate` wrote into the README, between its two markers.

python scripts/update_readme.py [docs/results/table.md]
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
START, END = "<!-- results: written by `make results` -->", "<!-- end of results -->"


def main() -> None:
    table = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/results/table.md"
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(START)
    _, after = rest.split(END)
    body = table.read_text().replace("\n## ", "\n### ").strip()
    readme.write_text(f"{before}{START}\n{body}\n{END}{after}")


if __name__ == "__main__":
    main()
