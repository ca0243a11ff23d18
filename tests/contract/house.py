"""Where the house stands and what is in it: shared by the contract tests."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rightstep", "flows", "workers", "policy", "registry")

# What makes pixels knows torch; what spreads the work knows Ray. A new renderer or pool module is added here.
RENDERER_MODULES = (
    "workers.adapters",
    "workers.caches",
    "workers.causal.anyflow",
    "workers.causal.decoding",
    "workers.causal.latents",
    "workers.causal.loading",
    "workers.causal.rollouts",
    "workers.causal.stream",
    "workers.causal.wan",
    "workers.causal.window",
    "workers.clips",
    "workers.denoising",
    "workers.diffusers_renderer",
    "workers.flow_grids",
    "workers.live_canvas",
    "workers.pickle_conversion",
    "workers.pipelines",
    "workers.previews",
    "workers.schedules",
    "workers.shifts",
    "workers.snapshots",
    "workers.stack_loading",
)
WEB = "rightstep.web"  # what speaks HTTP, and nothing else does
RAY_MODULES = ("workers.actor", "workers.cluster", "workers.live_places", "workers.pool", "workers.serving")


def tracked_files() -> list[Path]:
    """Every file that is or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in listed.split("\0") if name)
    return sorted({path for path in paths if path.is_file() and not path.is_symlink()})


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(*packages: str) -> Iterator[tuple[str, Path]]:
    """Name and file of every module of these packages, without importing any."""
    for path in tracked_files():
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in packages:
            yield module_name(path), path


def imported_names(path: Path) -> set[str]:
    """Every module that a file imports anywhere, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def fresh_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, from the root, with nothing of this test run in it."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST"))
    }
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
