"""What was measured on pictures: quality at each step count, and what good pictures of a stack look like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy.methods import MethodPreset, QualityPrior
from registry.licences.strict_table import StrictTable

_NEXT = "Measure again with the project's training code, or correct the file."
STATISTICS = ("saturation", "clipping", "contrast", "luminance")


@dataclass(frozen=True, kw_only=True, slots=True)
class StatisticBand:
    """What one figure does in good pictures; ``slack`` is how far a sample's mean may honestly lie off."""

    mean: float
    std: float
    slack: float


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityReference:
    """Figures of a stack's own full-step pictures, against which samples of it are judged."""

    base: str  # repository
    loras: tuple[str, ...]  # style repositories, without the method's own LoRA
    n: int  # pictures
    saturation: StatisticBand
    clipping: StatisticBand
    contrast: StatisticBand
    luminance: StatisticBand


def parse_references(table: Mapping[str, Any], where: str) -> tuple[QualityReference, ...]:
    """The references of one base; anything unexpected is a FormatFault."""
    read = StrictTable(table, where, _NEXT)
    base = read.text("base")
    references = read.many("reference", lambda inner: _reference(inner, base))
    read.close()
    return references


def measured_priors(preset: MethodPreset, documents: Sequence[Mapping[str, Any]]) -> tuple[QualityPrior, ...]:
    """What ``quality/measured.json`` says of a preset, by step count; nothing where it was not measured.

    A row names a preset or, for the model it was measured on, a family of them.
    """
    priors = {
        prior.steps: prior
        for document in documents
        if document.get("model") in preset.base
        for prior in _priors(preset, document)
    }
    return tuple(priors[steps] for steps in sorted(priors))


def _priors(preset: MethodPreset, document: Mapping[str, Any]) -> tuple[QualityPrior, ...]:
    scale = document.get("quality_is", "relative to the base at full steps")
    read = StrictTable({"quality": document.get("quality", [])}, "quality/measured.json", _NEXT)
    rows: list[QualityPrior] = []
    for row in read.tables("quality"):
        name = row.text("preset")
        prior = QualityPrior(
            steps=row.take("steps", int),
            quality=row.number("quality"),
            samples=row.take("n", int),
            source=f"measured: {scale}",
        )
        row.close()
        if name in {preset.name, preset.family}:
            rows.append(prior)
    return tuple(rows)


def _reference(read: StrictTable, base: str) -> QualityReference:
    loras, n = read.texts("loras"), read.take("n", int)
    bands = {name: read.one(name, _band) for name in STATISTICS}
    return QualityReference(base=base, loras=loras, n=n, **bands)


def _band(read: StrictTable) -> StatisticBand:
    return StatisticBand(mean=read.number("mean"), std=read.number("std"), slack=read.number("slack"))
