"""Fetches the three public art sets by package name and unpacks what is needed of them.

The pictures are never committed. Versions and digests are fixed here; any other package is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtPackage:
    """One npm package: `pictures` is the folder of pictures in it, `licence` that of the art."""

    name: str
    version: str
    archive: str
    sha256: str
    pictures: str
    licence: str
    holder: str


NOTO = ArtPackage(
    name="emoji-datasource-google",
    version="16.0.0",
    archive="emoji-datasource-google-16.0.0.tgz",
    sha256="fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    pictures="package/img/google/64/",
    licence="apache-2.0",
    holder="Google LLC (Noto Emoji)",
)
FLUENT = ArtPackage(
    name="@lobehub/fluent-emoji-3d",
    version="1.1.0",
    archive="lobehub-fluent-emoji-3d-1.1.0.tgz",
    sha256="c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    pictures="package/assets/",
    licence="mit",
    holder="Microsoft Corporation (Fluent Emoji)",
)
TWEMOJI = ArtPackage(
    name="emoji-datasource-twitter",
    version="16.0.0",
    archive="emoji-datasource-twitter-16.0.0.tgz",
    sha256="f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    pictures="package/img/twitter/64/",
    licence="cc-by-4.0",
    holder="Twitter, Inc and other contributors (Twemoji)",
)


class WrongArtPackage(Exception):
    """A fetched package is not the one the model was trained on; delete it from the cache and fetch again."""


def fetch(package: ArtPackage, cache: Path) -> Path:
    """The package's archive in the cache, fetched through npm when it is not there yet."""
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / package.archive
    if not archive.exists():
        wanted = f"{package.name}@{package.version}"
        npm = shutil.which("npm") or "npm"
        subprocess.run([npm, "pack", wanted, "--silent"], cwd=cache, check=True, stdout=subprocess.DEVNULL)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != package.sha256:
        raise WrongArtPackage(f"{package.archive}: sha256 {digest}, expected {package.sha256}")
    return archive


def unpack(package: ArtPackage, cache: Path) -> Path:
    """The folder that holds the package's pictures, each under its file name; unpacked once."""
    archive = fetch(package, cache)
    folder = cache / archive.name.removesuffix(".tgz")
    ready = folder / ".complete"
    if ready.exists():
        return folder
    folder.mkdir(exist_ok=True)
    with tarfile.open(archive) as bundle:
        for member in bundle:
            wanted = member.name.startswith(package.pictures) or member.name == "package/emoji.json"
            content = bundle.extractfile(member) if member.isfile() and wanted else None
            if content is not None:
                (folder / Path(member.name).name).write_bytes(content.read())
    ready.touch()
    return folder


@dataclass(frozen=True, slots=True)
class ArtSets:
    """The unpacked folders and the table from an emoji's short name to its code points."""

    noto: Path
    fluent: Path
    twemoji: Path
    code_points: dict[str, str]

    def picture(self, folder: Path, short_name: str) -> Path:
        """The file of a set that shows the emoji; the sets differ in how they name the variation selector."""
        code = self.code_points[short_name].lower()
        for stem in (code, code.removesuffix("-fe0f"), code + "-fe0f"):
            for suffix in (".png", ".webp"):
                path = folder / (stem + suffix)
                if path.exists():
                    return path
        raise FileNotFoundError(f"{short_name} ({code}) is not in {folder.name}")


def art_sets(cache: Path) -> ArtSets:
    """Fetch and unpack all three sets."""
    noto, fluent, twemoji = (unpack(package, cache) for package in (NOTO, FLUENT, TWEMOJI))
    rows = json.loads((noto / "emoji.json").read_text())
    code_points = {name: row["unified"] for row in rows for name in row["short_names"]}
    return ArtSets(noto, fluent, twemoji, code_points)
