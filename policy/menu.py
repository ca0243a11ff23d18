"""What may be chosen from: stacks that exist and are pinned, each with its verdict."""

from dataclasses import dataclass
from functools import cached_property

from policy.canonical import digest
from policy.manifest import LoraRequest
from policy.methods import MethodPreset
from policy.stacks import Stack
from policy.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A preset on a pinned stack, with the licence verdict of the whole stack for the use."""

    model: str  # the base repository that was asked for
    loras: tuple[LoraRequest, ...]  # the LoRAs that were asked for
    preset: MethodPreset
    stack: Stack
    verdict: Verdict

    @cached_property
    def digest(self) -> str:
        """Digest of everything in it: the same offer is decided on for many shots, and by many orders."""
        return digest("offer", self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Absence:
    """Something that was asked for and cannot be offered, with the reason and the remedy."""

    model: str
    loras: tuple[LoraRequest, ...]
    detail: str
    next_step: str
    preset: str = ""  # the method that is missing; "" where the model or a LoRA is


@dataclass(frozen=True, kw_only=True, slots=True)
class Menu:
    """Offers for every (model, loras) that a manifest asks for, verdicts included.

    Denied offers stay on the menu, so that a refusal can say what was denied and why.
    """

    offers: tuple[Offer, ...]
    absences: tuple[Absence, ...] = ()
    words: tuple[
        tuple[str, tuple[str, ...]], ...
    ] = ()  # model -> the closed vocabulary it was trained on, if it has one
    sizes: tuple[
        tuple[str, tuple[int, int]], ...
    ] = ()  # model -> width and height it was trained at, if it says

    def offers_for(self, model: str, loras: tuple[LoraRequest, ...]) -> tuple[Offer, ...]:
        return tuple(offer for offer in self.offers if offer.model == model and offer.loras == loras)
