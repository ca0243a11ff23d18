"""What a prompt says that its model cannot hear: worth a warning, never a refusal."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from policy.ladder import Candidate
from policy.manifest import Shot
from policy.menu import Menu
from policy.wording import names, plural

SHOWN_WORDS = 20
_WORD = re.compile(r"[^\W\d_]+")


def inert_negatives(shots: Sequence[Shot], candidate: Candidate) -> tuple[str, ...]:
    """A negative prompt only speaks through guidance; where that is off or baked in, it does nothing."""
    preset = candidate.offer.preset
    if not preset.negative_prompt_is_inert and candidate.rows_per_picture > 1:
        return ()
    deaf = [shot.name for shot in shots if shot.negative]
    if not deaf:
        return ()
    why = "guidance is baked in" if preset.negative_prompt_is_inert else "guidance is off"
    return (f"The negative prompt of {names(deaf)} does nothing with {preset.name}: {why}.",)


def unknown_words(shots: Iterable[Shot], menu: Menu) -> tuple[str, ...]:
    """Words outside a model's closed vocabulary, with the shots that use them and the nearest known word."""
    known = {model: frozenset(_words(" ".join(entries))) for model, entries in menu.words}
    if not known:
        return ()
    strange: dict[tuple[str, str], list[str]] = defaultdict(list)
    heard: dict[tuple[str, str], tuple[str, ...]] = {}
    for shot in shots:
        vocabulary = known.get(shot.model)
        if vocabulary is None:
            continue
        key = (shot.model, shot.prompt)
        if key not in heard:
            heard[key] = tuple(sorted(_words(shot.prompt) - vocabulary))
        for word in heard[key]:
            strange[shot.model, word].append(shot.name)
    worst = sorted(strange, key=lambda key: (-len(strange[key]), key))
    said = tuple(
        _said(model, word, strange[model, word], known[model]) for model, word in worst[:SHOWN_WORDS]
    )
    rest = Counter(model for model, _ in worst[SHOWN_WORDS:])
    return said + tuple(
        f"{plural(count, 'more word')} outside the vocabulary of {model}." for model, count in rest.items()
    )


def _words(prompt: str) -> set[str]:
    return set(_WORD.findall(prompt.casefold()))


def _said(model: str, word: str, shots: Sequence[str], vocabulary: frozenset[str]) -> str:
    near = difflib.get_close_matches(word, sorted(vocabulary), n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return (
        f'"{word}" in {names(shots)} is not a word that {model} was trained on; it will be guessed at.{hint}'
    )
