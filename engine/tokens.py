"""From text to tokens that know which characters they came from."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sentencepiece
import tokenizers

from engine.errors import BadInput, CheckpointError, EmptyText, TooLong


@dataclass(frozen=True)
class Token:
    """One token of an input.

    `text` is what a person would write: the characters of the input that the token stands for, or its own part of a
    character that takes several tokens. `piece` is the entry in
    the vocabulary, with its marks (`##ing`, `[UNK]`). `start` and `end` count characters (code points) of the sentence
    that the token belongs to, the first (`segment` 0) or the second (1); they are None for special tokens and for
    tokens given as ids. `continues` is True where the token goes on with the word of the token before it.
    """

    id: int
    text: str
    piece: str
    start: int | None
    end: int | None
    special: bool = False
    continues: bool = False
    segment: int = 0
    value: float | None = None  # where the network reads numbers


class Tokenizer(Protocol):
    """What the engine needs of a tokenizer."""

    def encode(self, text: str, pair: str | None = None, *, limit: int) -> tuple[Token, ...]:
        """Tokens of a text, or of two, with the special tokens that the model expects; `TooLong` over the limit."""
        ...

    def from_ids(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """The tokens that these ids stand for, taken as they are."""
        ...

    def written(self, ids: Sequence[int]) -> str:
        """The text that these ids make together, without special tokens."""
        ...


class FileTokenizer:
    """A tokenizer.json, read by the `tokenizers` library.

    It is configured once, here, and only encodes afterwards: that is what makes it safe to share between threads.
    Truncation and padding that the file may ask for are switched off, since a trace shows the whole text and no more.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"{path} is not a tokenizer file ({error}). Fetch it again.") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        added = self._tokenizer.get_added_tokens_decoder()
        self._special = {id: token.content for id, token in added.items() if token.special}

    def encode(self, text: str, pair: str | None = None, *, limit: int) -> tuple[Token, ...]:
        """Tokens of `text`, and of `pair` where there is one; `EmptyText`, `TooLong` or `BadInput` if it can't be."""
        sentences = (text,) if pair is None else (text, pair)
        names = ("text", "second text")
        for name, sentence in zip(names, sentences, strict=False):
            try:
                sentence.encode("utf-8")
            except UnicodeEncodeError:
                raise BadInput(f"The {name} has half of a surrogate pair in it. Send it as valid Unicode.") from None
            if not sentence.strip():
                raise EmptyText(f"The {name} is empty. Send at least one word.")
        encoding = self._tokenizer.encode(*sentences)
        if len(encoding) > limit:
            raise TooLong(len(encoding), limit)
        for sequence, name in enumerate(names[: len(sentences)]):
            if sequence not in encoding.sequence_ids:
                raise EmptyText(f"Nothing is left of the {name} after tokenization. Send a visible character.")
        # One character can be several tokens (Hangul by its letters, an emoji by its bytes): each shows its own part.
        spans = Counter(zip(encoding.sequence_ids, encoding.offsets, strict=True))
        tokens: list[Token] = []
        word_before: tuple[int, int] | None = None
        for id, matched, (start, end), segment, word, sequence, added in zip(
            encoding.ids,
            encoding.tokens,
            encoding.offsets,
            encoding.type_ids,
            encoding.word_ids,
            encoding.sequence_ids,
            encoding.special_tokens_mask,
            strict=True,
        ):
            if added or sequence is None:
                tokens.append(Token(id, matched, matched, None, None, special=True, segment=segment))
                word_before = None
                continue
            place = (sequence, word)
            source = sentences[sequence][start:end]
            # RoBERTa's mask takes the space before it along, which is no part of its name.
            special = source.strip() == self._special.get(id)
            piece = self._special[id] if special else matched
            written = self._as_written(piece)[0] if spans[sequence, (start, end)] > 1 else source
            tokens.append(
                Token(
                    id,
                    written if written and "\ufffd" not in written else source or piece,
                    piece,
                    start,
                    end,
                    special=special,
                    continues=place == word_before,
                    segment=segment,
                )
            )
            word_before = place
        return tuple(tokens)

    def from_ids(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """Tokens for `ids`, with their text as the tokenizer would write it inside a sentence."""
        tokens = []
        for id in ids:
            # Embeddings are often padded beyond the vocabulary: such an id has a vector but no piece.
            piece = self._tokenizer.id_to_token(id)
            if piece is None:
                tokens.append(Token(id, f"<{id}>", f"<{id}>", None, None))
                continue
            text, continues = (piece, False) if id in self._special else self._as_written(piece)
            tokens.append(Token(id, text, piece, None, None, special=id in self._special, continues=continues))
        return tuple(tokens)

    def written(self, ids: Sequence[int]) -> str:
        """The text that these ids make together, without special tokens."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def _as_written(self, piece: str) -> tuple[str, bool]:
        """The piece without the vocabulary's marks, and whether it goes on with the word before it."""
        decoder = self._tokenizer.decoder
        if decoder is None:
            return piece, False
        before = "a"  # a decoder shows how a piece joins on only where there is something to join
        written = decoder.decode([before, piece]).removeprefix(before)
        return written.lstrip(" ") or written, not written.startswith(" ")


class SentencePieces:
    """Marian's tokenizer: a SentencePiece model that cuts, and a vocabulary that numbers the pieces.

    A language code in front, such as `>>fra<<`, is a token of its own; every text ends with `</s>`.
    """

    END, UNKNOWN = "</s>", "<unk>"

    def __init__(self, pieces: Path, vocabulary: Path) -> None:
        try:
            self._cut = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
            self._ids: dict[str, int] = json.loads(vocabulary.read_text(encoding="utf-8"))
            self._end, self._unknown = self._ids[self.END], self._ids[self.UNKNOWN]
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            names = f"{pieces.name} and {vocabulary.name}"
            raise CheckpointError(f"{names} in {pieces.parent} are no SentencePiece tokenizer ({error}).") from None
        self._pieces = {id: piece for piece, id in self._ids.items()}

    def encode(self, text: str, pair: str | None = None, *, limit: int) -> tuple[Token, ...]:  # noqa: ARG002
        """Tokens of `text`; `EmptyText`, `TooLong` or `BadInput` if it can't be."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise BadInput("The text has half of a surrogate pair in it. Send it as valid Unicode.") from None
        code = re.match(r">>[^<]*<<", text)
        start = code.end() if code else 0
        cut = self._cut.encode(text[start:], out_type="offset_mapping")
        if not text[start:].strip() or not cut["pieces"]:
            raise EmptyText("There is no text to trace. Send at least one word.")
        tokens = [] if code is None else [self._token(code[0], code[0], 0, start, special=True)]
        for piece, (first, last) in zip(cut["pieces"], cut["offsets"], strict=True):
            # The mark of a word's beginning stands for the space before it, which is no part of what was written.
            written = text[start + first : start + last].lstrip()
            tokens.append(self._token(piece, written, start + last - len(written), start + last))
        tokens.append(Token(self._end, self.END, self.END, None, None, special=True))
        if len(tokens) > limit:
            raise TooLong(len(tokens), limit)
        return tuple(tokens)

    def _token(self, piece: str, text: str, start: int, end: int, *, special: bool = False) -> Token:
        continues = not special and not piece.startswith(SPACE)
        return Token(self._ids.get(piece, self._unknown), text or piece, piece, start, end, special, continues)

    def from_ids(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """The tokens that these ids stand for, taken as they are."""
        pieces = [self._pieces.get(id, f"<{id}>") for id in ids]
        special = re.compile(r"<.*>|>>.*<<")
        return tuple(
            Token(id, piece.removeprefix(SPACE) or piece, piece, None, None, bool(special.fullmatch(piece)))
            if special.fullmatch(piece) or piece.startswith(SPACE)
            else Token(id, piece, piece, None, None, continues=True)
            for id, piece in zip(ids, pieces, strict=True)
        )

    def written(self, ids: Sequence[int]) -> str:
        """The text that these ids make together, without special tokens."""
        pieces = [token.piece for token in self.from_ids(ids) if not token.special]
        return "".join(pieces).replace(SPACE, " ").strip()


SPACE = "\u2581"
"""How SentencePiece writes the space before a word."""


class Numbers:
    """The tokenizer of networks that read numbers: a text is numbers with space, comma or semicolon between them."""

    def encode(self, text: str, pair: str | None = None, *, limit: int) -> tuple[Token, ...]:  # noqa: ARG002
        """One token per number; `EmptyText`, `TooLong` or `BadInput` where there is none, or something else."""
        tokens = []
        for found in re.finditer(r"[^\s,;]+", text):
            try:
                value = float(found[0])
            except ValueError:
                raise BadInput(f"{found[0][:40]!r} is no number. This model reads numbers: 1 1 2 3 5 8.") from None
            if not math.isfinite(value):
                raise BadInput(f"{found[0][:40]} is not finite. This model reads numbers such as 1 1 2 3 5 8.")
            tokens.append(Token(0, found[0], found[0], found.start(), found.end(), value=value))
        if not tokens:
            raise EmptyText("There is no number to trace. Send at least one: 1 1 2 3 5 8.")
        if len(tokens) > limit:
            raise TooLong(len(tokens), limit)
        return tuple(tokens)

    def from_ids(self, ids: Sequence[int]) -> tuple[Token, ...]:  # noqa: ARG002
        """Numbers have no ids."""
        raise BadInput("This model reads numbers, which have no token ids. Send them as a text: 1 1 2 3 5 8.")

    def written(self, ids: Sequence[int]) -> str:
        """Numbers have no ids."""
        self.from_ids(ids)
        return ""
