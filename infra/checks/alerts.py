"""Alert rules and dashboards: every query parses as PromQL; with promtool at hand, the rules are tested.

promtool comes with Prometheus (in Debian, in the package ``prometheus``) and with no wheel.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator

import promql_parser

from infra.checks.places import DASHBOARDS, PROMETHEUS, read_yaml

RULES = PROMETHEUS / "alerts.yml"
TESTS = PROMETHEUS / "alerts.test.yml"


def queries() -> Iterator[tuple[str, str]]:
    """Every query that Prometheus is asked, with where it stands."""
    for group in read_yaml(RULES)["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                yield f"{path.name} {panel['title']}", target["expr"].replace("$__rate_interval", "5m")


def no_queries(asked: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Of these queries, what is no PromQL."""
    for where, query in asked:
        try:
            promql_parser.parse(query)
        except ValueError as error:
            yield f"{where}: {error}"


def faults() -> Iterator[str]:
    """Queries that are no PromQL, and rules that do not do what their tests say."""
    yield from no_queries(queries())
    if (promtool := shutil.which("promtool")) is None:
        return
    for asked in (("check", "rules", RULES), ("test", "rules", TESTS)):
        outcome = subprocess.run([promtool, *asked], capture_output=True, text=True, check=False)
        if outcome.returncode != 0:
            yield f"promtool {' '.join(map(str, asked))}: {outcome.stdout}{outcome.stderr}"


def how() -> str:
    """What was really asked."""
    return (
        "parsed and tested by promtool"
        if shutil.which("promtool")
        else "parsed; no promtool here to test them"
    )
