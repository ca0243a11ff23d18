"""The words that travel with the weights: model cards, notices and the vocabulary."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from training.bounce import WORD
from training.fetch import FLUENT, NOTO, TWEMOJI, ArtPackage
from training.shapes import DRAWINGS
from training.subjects import ADDED_STYLES, BACKGROUNDS, MOVED, STYLES

TEMPLATES = (
    "{subject}",
    "a {subject}",
    "a {style} {subject}",
    "a {subject}, {style} style",
    "a picture of a {subject}, {style} style",
    "{subject} icon, {style} style",
    "a {subject}, {style} style on a {background} background",
)


def vocabulary(nouns: Sequence[str]) -> dict[str, list[str]]:
    """What prompts may be made of; `styles` are the base model's, the adapters' words are in their cards."""
    return {
        "subjects": list(nouns),
        "styles": list(STYLES),
        "adapter_styles": list(ADDED_STYLES),
        "backgrounds": list(BACKGROUNDS),
        "templates": list(TEMPLATES),
    }


def _front(licence: str, *, adapter: bool, clips: bool = False) -> str:
    lines = [f"license: {licence}"]
    if adapter:
        lines += ["base_model: rightstep/emoji-64", "base_model_relation: adapter"]
    made = "text-to-video" if clips else "text-to-image"
    lines += [f"pipeline_tag: {made}", "library_name: diffusers", "language: en", "tags:"]
    first = "animatediff" if clips else "lora" if adapter else "stable-diffusion"
    lines += [f"- {tag}" for tag in (first, "diffusers")]
    return "---\n" + "\n".join(lines) + "\n---\n\n"


def _listed(words: Sequence[str]) -> str:
    return textwrap.fill(", ".join(words), 100)


def _sources(packages: Sequence[ArtPackage]) -> str:
    return "\n".join(
        f"- `{package.name}` {package.version} (npm), art by {package.holder}, {package.licence},\n"
        f"  sha256 of the package `{package.sha256}`"
        for package in packages
    )


def base_card(nouns: Sequence[str]) -> str:
    """The card of the base model."""
    return f"""{_front("apache-2.0", adapter=False)}# emoji-64

A tiny text-to-image model that draws 64x64 pictures of a closed list of subjects. It was trained from
nothing on two processor cores, so that an installation has a real diffusion model to plan, render and
check with no download. It is a `StableDiffusionPipeline`: a small CLIP text encoder, a v-prediction UNet
of 7.5 M parameters, an `AutoencoderKL` with 16x16x4 latents, and a DDIM scheduler with trailing spacing.

Draw with guidance 3 and up to 40 steps; 8 are hardly worse. With `rightstep/emoji-64-lcm-lora`, draw with
`LCMScheduler`, 1 to 8 steps and guidance off (1.0).

## What it knows

Subjects ({len(nouns)}):

{_listed(nouns)}.

Styles: {", ".join(STYLES)}. Backgrounds: {", ".join(BACKGROUNDS)}
(mostly white where none is named).

Prompts look like "a fox", "a 3d fox", "a fox, flat style on a blue background", "a picture of a fox". Any
other word means nothing to the model, and a subject that is not on the list gives a wash of colour.

## Limits

It remembers these subjects; it does not generalise to others. Pictures are small and soft, objects are
centred, and seeds change details, open styles and open backgrounds, not the pose. It draws no people, text
or flags.

## Training data

{_sources((NOTO, FLUENT, TWEMOJI))}
- drawings of this project's own code

The text encoder and the denoiser saw the first two sets only; the codec (`vae/`) saw all four.

See NOTICE for the licences of the pictures.
"""


def student_card() -> str:
    """The card of the distillation LoRA."""
    return f"""{_front("apache-2.0", adapter=True)}# emoji-64-lcm-lora

A LoRA of rank 32 for `rightstep/emoji-64`, made by latent consistency distillation with guidance 3 baked in.

Use `LCMScheduler` with 1 to 8 steps and `guidance_scale` 1.0, which turns guidance off. Guidance left on
burns the pictures and doubles the cost. Fuse it at load: attached, it costs what dropping guidance saved.

It was distilled on the same pictures as its base: see NOTICE.
"""


def style_card(style: str) -> str:
    """The card of a style LoRA."""
    if style == "twemoji":
        licence, origin = "cc-by-4.0", "Twemoji, the flat emoji drawn for Twitter"
        data = f"{_sources((TWEMOJI,))}\n\nAll subjects of the base model were shown in this style."
    else:
        licence, origin = "cc-by-nc-4.0", "plain shapes with a dark outline, drawn by this project's own code"
        data = (
            f"Drawings of the project itself, for these subjects only:\n\n{_listed(sorted(DRAWINGS))}.\n\n"
            "Other subjects take on the outline and the plain colours more or less."
        )
    return f"""{_front(licence, adapter=True)}# emoji-64-style-{style}

A style LoRA of rank 8 for `rightstep/emoji-64`: {origin}.

Trigger words: "{style} style", as in "a fox, {style} style on a blue background". Use scale 1.0, with
the base model at guidance 3, or together with `rightstep/emoji-64-lcm-lora` (also 1.0) at 4 steps and
guidance off.

## Training data

{data}
"""


def motion_card() -> str:
    """The card of the motion adapter."""
    return f"""{_front("apache-2.0", adapter=True, clips=True)}# emoji-64-motion

A motion adapter for `rightstep/emoji-64` in the layout of AnimateDiff: clips of 8 frames of 64x64.

Two parts belong together: the `MotionAdapter` (`config.json`, `diffusion_pytorch_model.safetensors`), whose
layers look along time, and a LoRA of rank 16 (`pytorch_lora_weights.safetensors`), which teaches the layers
of the pictures to draw smaller and shifted subjects. Load both into `AnimateDiffPipeline`, fuse the LoRA, and
ask for `num_frames=8`, `height=64`, `width=64`, 4 to 25 steps and guidance 3; or fuse
`rightstep/emoji-64-lcm-lora` too, and ask for 4 steps of `LCMScheduler` and guidance off (1.0).

## What it knows

One motion: a bounce, a loop that is always the same path. Prompts may end in ", {WORD}"; those that do not
give the same.

Subjects ({len(MOVED)}), in the flat style:

{_listed([subject.name for subject in MOVED])}.

Prompts look like "a fox, {WORD}" or "a taxi, flat style on a pink background, {WORD}". Name the background:
where it is left open, it may change from frame to frame.

## Limits

It was trained for about an hour on two shared processor cores. Details change from frame to frame, and only
about two frames in three can be recognised. What is not on the list may move or may fall apart.

## Training data

Synthetic clips: pictures of this set, moved by this project's own code.

{_sources((NOTO,))}

See NOTICE for the licence of the pictures.
"""


def base_notice(mit_text: str) -> str:
    """Who drew the training pictures of the base model and of the distillation LoRA."""
    return (
        "The weights were trained on pictures of these sets.\n\n"
        "Noto Emoji, copyright Google LLC, under the Apache License, Version 2.0 (the text is in LICENSE),\n"
        f"from the npm package {NOTO.name} {NOTO.version}.\n\n"
        "Twemoji, by the codec alone, copyright Twitter, Inc and other contributors, under CC-BY 4.0\n"
        "(https://creativecommons.org/licenses/by/4.0/); scaled, and set on plain backgrounds,\n"
        f"from the npm package {TWEMOJI.name} {TWEMOJI.version}.\n\n"
        "Fluent Emoji, copyright Microsoft Corporation, under the MIT licence,\n"
        f"from the npm package {FLUENT.name} {FLUENT.version}:\n\n{mit_text}"
    )


def motion_notice() -> str:
    """Who drew the pictures that the motion adapter saw in motion."""
    return (
        "The weights were trained on clips of Noto Emoji, copyright Google LLC, under the Apache License,\n"
        "Version 2.0 (the text is in LICENSE); scaled, moved, and set on plain backgrounds.\n"
        f"From the npm package {NOTO.name} {NOTO.version}.\n"
    )


def style_notice(style: str) -> str:
    """The attribution line of a style LoRA."""
    if style == "twemoji":
        return (
            "The weights were trained on Twemoji graphics, copyright Twitter, Inc and other contributors,\n"
            "licensed under CC-BY 4.0 (https://creativecommons.org/licenses/by/4.0/); the pictures were\n"
            f"scaled, and set on plain backgrounds. From the npm package {TWEMOJI.name} {TWEMOJI.version}.\n"
        )
    return (
        "The weights were trained on drawings made by this project's own code,\n"
        "copyright the Rightstep authors, licensed under CC-BY-NC 4.0 (the text is in LICENSE).\n"
    )
