"""Tokenizers of the published classes over the bytes alone: real code, tiny vocabularies."""

from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CHAT = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"


def clip() -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(ROOT / "registry/builtin/hub/rightstep/emoji-64/tokenizer")


def qwen() -> Any:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocab = {piece: n for n, piece in enumerate([*sorted(ByteLevel.alphabet()), *special])}
    made = Qwen2Tokenizer(vocab=vocab, merges=[], additional_special_tokens=special[1:])
    made.chat_template = CHAT
    return made


def t5() -> Any:
    from transformers import T5Tokenizer

    pieces = ["<pad>", "</s>", "<unk>", "▁", *(chr(code) for code in range(33, 127))]
    return T5Tokenizer(vocab=[(piece, -float(n)) for n, piece in enumerate(pieces)], extra_ids=0)


def gemma() -> Any:
    from transformers import GemmaTokenizer

    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "▁", *(chr(code) for code in range(33, 127)), "\n"]
    return GemmaTokenizer(vocab={piece: n for n, piece in enumerate(pieces)}, merges=[])
