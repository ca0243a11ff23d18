"""A shelf of small model repositories, written to a folder for tests."""

from pathlib import Path

from tests.unit.registry.licensing import catalogue

EMPTY_WEIGHTS = (2).to_bytes(8, "little") + b"{}"


def put_repository(
    root: Path,
    repo: str,
    *,
    card: str = "license: apache-2.0",
    licence: str = "apache-2.0",
    files: dict[str, bytes] | None = None,
) -> Path:
    """A plain folder with a card, a LICENSE and, unless told otherwise, one empty safetensors file."""
    folder = root / repo
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(f"---\n{card}\n---\n")
    if licence:
        (folder / "LICENSE").write_bytes(catalogue().texts[licence])
    for path, body in (files or {"model.safetensors": EMPTY_WEIGHTS}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    return folder
