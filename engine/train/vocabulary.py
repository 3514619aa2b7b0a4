"""Tokenizers: trained on the training text, and able to cut the same word in different ways."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

PAD, UNKNOWN, START, STOP = range(4)
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TEMPLATES = {"stop": "$A </s>", "start": "<s> $A", "none": "$A"}
SPACE = "\u2581"


def train_bpe(texts: Iterable[str], size: int, template: str, special: Sequence[str] = ()) -> tokenizers.Tokenizer:
    """Byte-pair encoding (Sennrich et al. 2016) of letters, digits and signs apart; `template` adds start or stop."""
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace("’", "'")])
    words = f"{SPACE}?[\\p{{L}}\\p{{M}}]+|{SPACE}?\\p{{N}}|{SPACE}?[^{SPACE}\\p{{L}}\\p{{M}}\\p{{N}}]+|{SPACE}"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(split=True), pre_tokenizers.Split(Regex(words), "isolated")]
    )
    tokenizer.decoder = decoders.Metaspace()
    known = [*SPECIAL, *special]
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=size, special_tokens=known, min_frequency=2, show_progress=False)
    )
    ids = [(token, tokenizer.token_to_id(token)) for token in SPECIAL]
    tokenizer.post_processor = processors.TemplateProcessing(single=TEMPLATES[template], special_tokens=ids)
    return tokenizer


def train_wordpiece(texts: Iterable[str], size: int) -> tokenizers.Tokenizer:
    """BERT's tokenizer: WordPiece (Wu et al. 2016) of lower-case words, with the marks of one or two segments."""
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token=BERT_SPECIAL[UNKNOWN]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(BERT_SPECIAL), show_progress=False)
    )
    ids = [(token, tokenizer.token_to_id(token)) for token in BERT_SPECIAL]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    return tokenizer


class Cuts:
    """The same word cut in different ways from epoch to epoch: BPE-dropout (Provilkov et al. 2020).

    Each merge is left out with probability `rate`. A word has at most `most` cuts, drawn once and then chosen from.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, rate: float, seed: int, most: int = 16) -> None:
        model = json.loads(tokenizer.to_str())["model"]
        self.tokenizer, self.rate, self.most = tokenizer, rate, most
        self.ids: dict[str, int] = model["vocab"]
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}
        self.random = random.Random(seed)
        self.known: dict[str, list[list[int]]] = {}

    def words(self, text: str) -> list[str]:
        """The text in the parts that no merge crosses."""
        normalizer, splitter = self.tokenizer.normalizer, self.tokenizer.pre_tokenizer
        assert normalizer is not None
        assert splitter is not None
        return [word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))]

    def of(self, word: str) -> list[list[int]]:
        """The cuts of a word, as token ids; the likelier one stands there more often."""
        if word not in self.known:
            self.known[word] = [self.cut(word) for _ in range(self.most)]
        return self.known[word]

    def cut(self, word: str) -> list[int]:
        """One cut of a word."""
        parts = list(word)
        while len(parts) > 1:
            found = [
                (self.ranks[pair], at)
                for at, pair in enumerate(pairwise(parts))
                if pair in self.ranks and self.random.random() >= self.rate
            ]
            if not found:
                break
            _, at = min(found)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return [self.ids.get(part, UNKNOWN) for part in parts]


def load(path: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a run."""
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
