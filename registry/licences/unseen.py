"""Licences that models name and whose text nobody here has read: what each is, and what would settle it.

None of them has a term file, so that each stays unknown and permits nothing; this table
only makes the refusal say more than that.
"""

from dataclasses import dataclass

from registry.licences.texts import UNKNOWN_PREFIX


@dataclass(frozen=True, kw_only=True, slots=True)
class UnseenLicence:
    """A licence known by name alone."""

    id: str
    names: tuple[str, ...]  # lower case, as cards and tags spell it
    what: str
    settles: str


UNSEEN: tuple[UnseenLicence, ...] = (
    UnseenLicence(
        id="krea-2-community",
        names=("krea-2-community", "krea 2 community license", "krea-2-community-license"),
        what="the Krea 2 Community License of Krea-2-Raw and Krea-2-Turbo",
        settles="Read the LICENSE file of krea/Krea-2-Turbo at the pin: seats are said to be limited.",
    ),
    UnseenLicence(
        id="nvidia-nscl-v2-custom",
        names=("nvidia-nscl-v2-custom", "nscl-v2-custom", "nscl v2-custom"),
        what="the NVIDIA licence of the SANA family",
        settles="Read LICENSE.txt of the SANA repository at the pin; it differs from version to version.",
    ),
    UnseenLicence(
        id="nvidia-nsclv1",
        names=("nvidia-nsclv1", "nsclv1", "nscl-v1"),
        what="the NVIDIA Source Code License v1",
        settles="Read the LICENSE file of the repository at the pin.",
    ),
    UnseenLicence(
        id="nvidia-open-model-2025-10-24",
        names=("nvidia-open-model-2025-10-24",),
        what="the NVIDIA Open Model License of 24 October 2025",
        settles="Read the text as it stands in the repository; the one of 28 April 2025 is known.",
    ),
    UnseenLicence(
        id="anyflow-other",
        names=("anyflow-other",),
        what='the licence that the AnyFlow weights call "other"',
        settles="Read the LICENSE file beside the AnyFlow weights; the code alone is Apache-2.0.",
    ),
    UnseenLicence(
        id="kijai-untagged",
        names=("kijai-untagged",),
        what="extractions in Kijai/WanVideo_comfy, which bear no licence",
        settles="Take the weights from where they were extracted, or ask the uploader to state one.",
    ),
    UnseenLicence(
        id="rootonchair-untagged",
        names=("rootonchair-untagged",),
        what="conversions by rootonchair, which bear no licence",
        settles="Take the weights from the repository they were converted from; its terms reach the copy.",
    ),
    UnseenLicence(
        id="tdm-untagged",
        names=("tdm-untagged",),
        what="the TDM adapters, whose repository has no LICENSE file",
        settles="Ask the authors to state a licence; the terms of the base model reach the adapter as well.",
    ),
    UnseenLicence(
        id="flux-nc-2.1",
        names=("flux-nc-2.1", "flux-non-commercial-license"),
        what="the FLUX Non-Commercial License v2.1 of FLUX.2 [klein] 9B",
        settles="Read the LICENSE file of the repository at the pin; versions up to 2.0 are known.",
    ),
    UnseenLicence(
        id="tencent-hunyuan-dit-2024-05-14",
        names=("tencent-hunyuan-dit-2024-05-14",),
        what="the Tencent Hunyuan Community License of HunyuanDiT",
        settles="Read the LICENSE file of HunyuanDiT at the pin.",
    ),
    UnseenLicence(
        id="bytedance-hypersd-rail-2024-04-11",
        names=("bytedance-hypersd-rail-2024-04-11",),
        what="the RAIL of ByteDance for Hyper-SD, the first section of its LICENSE.md",
        settles="Read LICENSE.md of ByteDance/Hyper-SD at the pin; its FLUX files have their own section.",
    ),
    UnseenLicence(
        id="noobai-rider",
        names=("noobai-rider",),
        what="the rider on the model card of NoobAI-XL",
        settles="Read the model card at the pin; it is said to forbid every commercial use.",
    ),
    UnseenLicence(
        id="minimax-h3",
        names=("minimax-h3",),
        what="the MiniMax H3 licence",
        settles="Read the LICENSE file at the pin; it is said to exclude territories.",
    ),
)


def what_would_settle(licence: str) -> str:
    """Why a licence without a term file permits nothing, and what to read."""
    word = licence.removeprefix(UNKNOWN_PREFIX).lower()
    for unseen in UNSEEN:
        if word in unseen.names:
            return f"Text not seen: {unseen.what}. {unseen.settles} Then add a term file."
    return "Its licence is not in the catalogue: nobody knows what it permits. Add a term file."
