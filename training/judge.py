"""A small classifier that says what a picture shows: subject, art style and background.

It is trained on the same closed set as the model, with shifts, scales, blur, noise and the codec's own
softness, so it measures whether a memorised subject is recognisable. It says nothing about subjects outside
the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.checkpoints import Dice, State
from training.config import PICTURE_SIZE, JudgePlan
from training.vae import as_floats


class Judge(nn.Module):
    """Five convolutions, one feature vector, three heads."""

    def __init__(self, subjects: int, styles: int, backgrounds: int, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _layer(3, 24, 2),
            _layer(24, 48, 1),
            nn.MaxPool2d(2),
            _layer(48, 96, 1),
            nn.MaxPool2d(2),
            _layer(96, 160, 1),
            _layer(160, 160, 1),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(640, features),
        )
        self.heads = nn.ModuleList([nn.Linear(features, count) for count in (subjects, styles, backgrounds)])

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Floats (n, 3, 64, 64) in -1..1 to features (n, f) and the three heads' scores."""
        features = self.body(pictures)
        return features, [head(functional.relu(features)) for head in self.heads]


def _layer(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


@dataclass(frozen=True, slots=True)
class Examples:
    """Pictures uint8 (n, 64, 64, 3), the same through the codec, and the three labels of each, (n, 3)."""

    pictures: Tensor
    softened: Tensor
    labels: Tensor


def _varied(pictures: Tensor, dice: Dice) -> Tensor:
    """One shift, scale, blur and noise level for the batch: shapes must count, not sharpness or place."""
    zoom = dice.plain.uniform(0.85, 1.1)
    across, down = dice.plain.uniform(-0.12, 0.12), dice.plain.uniform(-0.12, 0.12)
    matrix = torch.tensor([[[zoom, 0.0, across], [0.0, zoom, down]]]).expand(len(pictures), -1, -1)
    grid = functional.affine_grid(matrix, list(pictures.shape), align_corners=False)
    moved = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    if dice.plain.random() < 0.3:
        moved = functional.interpolate(functional.avg_pool2d(moved, 2), size=PICTURE_SIZE, mode="bilinear")
    level = 0.1 * dice.plain.random()
    return moved + level * torch.randn(moved.shape, generator=dice.torch)


class JudgeStage:
    """Cross-entropy on the three heads; half of the pictures have been through the codec."""

    def __init__(self, plan: JudgePlan, examples: Examples, counts: tuple[int, int, int]) -> None:
        self.plan = plan
        self.examples = examples
        self.judge = Judge(*counts, plan.features)
        self.optimiser = torch.optim.AdamW(self.judge.parameters(), lr=plan.schedule.peak, weight_decay=1e-3)

    def advance(self, step: int, rate: float, dice: Dice) -> Mapping[str, float]:
        """One step on a varied batch."""
        self.optimiser.param_groups[0]["lr"] = rate
        self.judge.train()
        chosen = torch.randint(0, len(self.examples.pictures), (self.plan.batch,), generator=dice.torch)
        source = self.examples.softened if step % 2 else self.examples.pictures
        labels = self.examples.labels[chosen]
        _, scores = self.judge(_varied(as_floats(source[chosen]), dice))
        subject, style, background = (
            functional.cross_entropy(score, labels[:, head]) for head, score in enumerate(scores)
        )
        loss = subject + 0.3 * style + 0.3 * background
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return {"loss": float(loss.detach())}

    def state(self) -> State:
        return {"judge": self.judge.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: State) -> None:
        self.judge.load_state_dict(state["judge"])
        self.optimiser.load_state_dict(state["optimiser"])

    def finished(self) -> Judge:
        """The trained judge, ready to be asked."""
        return self.judge.eval()


@torch.no_grad()
def ask(judge: Judge, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Features (n, f) and scores of the three heads for uint8 pictures (n, 64, 64, 3)."""
    answers = [judge(as_floats(part)) for part in pictures.split(128)]
    features = torch.cat([answer[0] for answer in answers])
    return features, [torch.cat([answer[1][head] for answer in answers]) for head in range(3)]
