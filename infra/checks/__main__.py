"""``python -m infra.checks``: what is deployed and what it is made of, checked without a network.

``--sbom FILE`` writes the bill of materials instead.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.checks import advisories, alerts, compose, kubernetes, sbom

CHECKS: tuple[tuple[str, Callable[[], Iterator[str]], Callable[[], str]], ...] = (
    ("compose file", compose.faults, lambda: "fits the Compose Specification"),
    ("manifests", kubernetes.faults, lambda: f"fit Kubernetes {kubernetes.VERSION} and KubeRay"),
    ("alerts, dashboards", alerts.faults, alerts.how),
    ("bill of materials", sbom.faults, lambda: f"fits CycloneDX {sbom.SPEC_VERSION}"),
    ("dependency audit", advisories.faults, advisories.how),
)


def main() -> int:
    """Run every check; 1 where one found something."""
    parser = argparse.ArgumentParser(prog="python -m infra.checks", description=__doc__)
    parser.add_argument("--sbom", type=Path, metavar="FILE", help="write the bill of materials there")
    target: Path | None = parser.parse_args().sbom
    if target is not None:
        target.write_bytes(sbom.make_sbom())
        print(f"wrote {target}")
        return 0
    failed = False
    for name, look, how in CHECKS:
        found = list(look())
        failed = failed or bool(found)
        print(f"{name}: {how() if not found else f'{len(found)} faults'}")
        for fault in found:
            print(f"  {fault}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
