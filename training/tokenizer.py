"""Makes the tokenizer: CLIP's layout over a small vocabulary in which every known word is one token.

All byte symbols stay in, so any text can be tokenised; unknown words become several pieces
that mean nothing to the model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from training.config import TEXT_LENGTH
from training.subjects import ADDED_STYLES, BACKGROUNDS, OTHER_WORDS, STYLES

_START, _END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"
_VOCABULARY = 1500


def known_words(nouns: Sequence[str]) -> list[str]:
    """Every word that a caption can hold."""
    phrases = [*nouns, *BACKGROUNDS, *STYLES, *ADDED_STYLES, *OTHER_WORDS]
    return sorted({word for phrase in phrases for word in phrase.split()})


def _merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Byte-pair merges that join each of the words into one token."""
    trained = Tokenizer(models.BPE(end_of_word_suffix=_WORD_END, continuing_subword_prefix=""))
    trained.normalizer = normalizers.Lowercase()
    split = pre_tokenizers.Split(Regex(r"[\p{L}]+|[\p{N}]+|[^\s\p{L}\p{N}]+"), "removed", invert=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trained.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), split, byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        end_of_word_suffix=_WORD_END,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    trained.train_from_iterator([word for word in words for _ in range(20)], trainer)
    rows = json.loads(trained.to_str())["model"]["merges"]
    pairs = [row if isinstance(row, list) else row.split() for row in rows]
    return [(left, right) for left, right in pairs]


def make_tokenizer(nouns: Sequence[str], folder: Path) -> CLIPTokenizer:
    """Build the tokenizer for these nouns and save it, with the two older files beside the new one."""
    merges = _merges(known_words(nouns))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary: dict[str, int] = {}
    for symbol in [
        *alphabet,
        *(letter + _WORD_END for letter in alphabet),
        *(a + b for a, b in merges),
        _START,
        _END,
    ]:
        vocabulary.setdefault(symbol, len(vocabulary))
    tokenizer = CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,
        model_max_length=TEXT_LENGTH,
        bos_token=_START,
        eos_token=_END,
        unk_token=_END,
        pad_token=_END,
    )
    tokenizer.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    return tokenizer
