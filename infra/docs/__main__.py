"""``python -m infra.docs``: rewrite the generated pages of docs/reference; ``--check`` only compares them.

Used by ``make docs``, ``make check`` and ``tests/docs``, so that a page cannot drift from what it describes.
"""

import argparse
import sys

from infra.docs.pages import PAGES, stale, write


def main() -> int:
    """Rewrite the pages, or with ``--check`` exit 1 when one of them would change."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.docs", description="Write or check docs/reference."
    )
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when a page is stale")
    if not parser.parse_args().check:
        for name in PAGES:
            print(f"wrote {write(name)}")
        return 0
    drifted = [name for name in PAGES if stale(name)]
    for name in drifted:
        print(f"docs/reference/{name} is stale: run `make docs` and look at what changed", file=sys.stderr)
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
