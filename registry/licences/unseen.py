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
        id="llama2",
        names=("llama2", "llama3", "llama3.2", "llama3.3", "llama4"),
        what="a Llama Community License other than that of 3.1",
        settles="Read the LICENSE file at the pin; 3.2 and 4 are said to leave out licensees in the EU.",
    ),
    UnseenLicence(
        id="deepfloyd-if-license",
        names=("deepfloyd-if-license",),
        what="the DeepFloyd IF License",
        settles="Read the LICENSE file at the pin; the first version was for research alone.",
    ),
    UnseenLicence(
        id="bria-2.3",
        names=("bria-2.3", "bria-rmbg-1.4", "bria-rmbg-2.0", "bria-fibo", "bria-3.2"),
        what="an agreement of BRIA, whose link leads to terms that can change",
        settles="Buy a licence and record it: rightstep grant ask.",
    ),
)


def what_would_settle(licence: str) -> str:
    """Why a licence without a term file permits nothing, and what to read."""
    word = licence.removeprefix(UNKNOWN_PREFIX).lower()
    for unseen in UNSEEN:
        if word in unseen.names:
            return f"Text not seen: {unseen.what}. {unseen.settles} Then add a term file."
    return "Its licence is not in the catalogue: nobody knows what it permits. Add a term file."
