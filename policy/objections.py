"""What speaks against one way of running a shot: a value, with the remedy beside the reason."""

from dataclasses import dataclass

from policy.plan import Rejection
from policy.verdicts import Reason, Ruling


@dataclass(frozen=True, kw_only=True, slots=True)
class Objection:
    """Why a preset cannot run a shot as asked, and what would help."""

    preset: str
    code: str
    detail: str
    remedy: str
    steps: int | None = None
    grounds: tuple[Reason, ...] = ()  # the adverse reasons of a licence verdict, clause and all

    def as_rejection(self) -> Rejection:
        """As a plan keeps it, beside the choice that was made instead."""
        return Rejection(preset=self.preset, steps=self.steps, code=self.code, detail=self.detail)

    def as_reasons(self, where: str) -> tuple[Reason, ...]:
        """As a refusal shows it; a licence's own reasons stand for themselves."""
        if self.grounds:
            return self.grounds
        return (
            Reason(
                code=self.code, ruling=Ruling.DENY, detail=f"{where}: {self.detail}", component=self.preset
            ),
        )
