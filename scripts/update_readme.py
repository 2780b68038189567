"""Put what `sitsr evaluate` wrote, but for the differences, between the README's two markers.

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
    parts = table.read_text().replace("\n## ", "\n### ").strip().split("\n\n")
    # Paired differences stay in the full table: a heading, and the table after it.
    told = [n for n, part in enumerate(parts) if part.startswith("Difference from")]
    body = "\n\n".join(part for n, part in enumerate(parts) if not {n, n - 1} & set(told))
    readme.write_text(f"{before}{START}\n{body}\n{END}{after}")


if __name__ == "__main__":
    main()
