"""The notices file: what licences ask to be said, said once, with every licence text in full. Pure.

The same parts give the same text in any order, so that its digest means something.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policy.errors import IntegrityFault
from policy.verdicts import Obligation

RULE = "-" * 78


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenceCopy:
    """A licence text to hand on."""

    licence: str  # licence id
    sha256: str  # of the text as read
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticedPart:
    """One model that a shipment was made with."""

    repo: str
    revision: str
    role: str
    licences: tuple[str, ...]
    attribution: str = ""  # whom to credit, in the licensor's words
    changes: str = ""  # what was done to the work: "LoRA fused at scale 0.8"
    own_notice: str = ""  # the text of its NOTICE file


def make_notices(
    *,
    title: str,
    parts: Sequence[NoticedPart],
    obligations: Iterable[Obligation],
    copies: Iterable[LicenceCopy],
) -> str:
    """The whole file as text.

    A part under a licence of which no copy is given is an IntegrityFault: a notice that
    names terms it does not hand on meets nothing.
    """
    texts = _unique(copies)
    missing = sorted(
        {licence for part in parts for licence in part.licences} - {copy.licence for copy in texts}
    )
    if missing:
        raise IntegrityFault(
            f"No text of {', '.join(missing)} is at hand for the notices.",
            "Pin the model again, with its LICENSE file.",
        )
    sections = [
        f"{title}\n{'=' * len(title)}",
        _made_with(parts),
        _obligations(obligations),
        *_own_notices(parts),
        *(
            f"{RULE}\nLicence {copy.licence} (sha256 {copy.sha256})\n{RULE}\n\n{copy.text.strip()}"
            for copy in texts
        ),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _unique(copies: Iterable[LicenceCopy]) -> list[LicenceCopy]:
    """Every text once, whoever brought it."""
    by_text = {copy.sha256: copy for copy in sorted(copies, key=lambda copy: (copy.sha256, copy.licence))}
    return sorted(by_text.values(), key=lambda copy: (copy.licence, copy.sha256))


def _made_with(parts: Sequence[NoticedPart]) -> str:
    lines = ["These pictures were made by artificial intelligence, with:"]
    for part in sorted(set(parts), key=lambda part: (part.repo, part.revision, part.role, part.changes)):
        lines.append("")
        lines.append(f"* {part.repo} ({part.role}), revision {part.revision}")
        lines.append(f"  Licence: {', '.join(part.licences) or 'none known'}")
        if part.attribution:
            lines.extend(_indented("Credit: ", part.attribution))
        if part.changes:
            lines.extend(_indented("Changes: ", part.changes))
    return "\n".join(lines)


def _indented(label: str, words: str) -> list[str]:
    first, *rest = words.strip().splitlines()
    return [f"  {label}{first}", *(f"  {' ' * len(label)}{line}" for line in rest)]


def _obligations(obligations: Iterable[Obligation]) -> str:
    owed = sorted(
        set(obligations), key=lambda owed: (owed.id, owed.component, owed.licence, owed.when, owed.text)
    )
    if not owed:
        return ""
    lines = ["What these licences ask of whoever passes the pictures on:", ""]
    for duty in owed:
        source = ", ".join(word for word in (duty.component, duty.licence) if word)
        lines.append(f"* {duty.text} (on {duty.when}; {source or 'all parts'})")
    return "\n".join(lines)


def _own_notices(parts: Sequence[NoticedPart]) -> list[str]:
    notices = {(part.repo, part.own_notice.strip()) for part in parts if part.own_notice.strip()}
    return [f"{RULE}\nNotice of {repo}\n{RULE}\n\n{text}" for repo, text in sorted(notices)]
