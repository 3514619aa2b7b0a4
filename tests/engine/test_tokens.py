"""Tokens: text as a person writes it, at the characters where it stands, for any Unicode there is."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers

import engine
from engine.errors import BadInput, CheckpointError, EmptyText, TokenizerMissing, TooLong
from engine.tokens import FileTokenizer


def tokens_of(model: engine.Model, text: str, pair: str | None = None) -> tuple[engine.Token, ...]:
    return model.inputs(text, pair=pair).tokens["encoder"]


def test_tokens_read_as_they_were_written_and_know_where(minilm: engine.Model) -> None:
    text = "Visualizing Zürich didn't tire."
    tokens = tokens_of(minilm, text)
    assert [t.text for t in tokens if not t.special] == ["Visual", "izing", "Zürich", "didn", "'", "t", "tire", "."]
    assert [t.piece for t in tokens][:3] == ["[CLS]", "visual", "##izing"]
    assert [t.continues for t in tokens] == [False, False, True, *[False] * 7]
    assert [(t.start, t.end) for t in tokens][:4] == [(None, None), (0, 6), (6, 11), (12, 18)]
    assert tokens[0].special
    assert tokens[-1].special


def test_no_vocabulary_marks_are_left_in_the_text_of_plain_ids(minilm: engine.Model) -> None:
    ids = [t.id for t in tokens_of(minilm, "visualizing tiredness")]
    tokens = minilm.inputs(ids={"encoder": ids}).tokens["encoder"]
    assert [t.text for t in tokens] == ["[CLS]", "visual", "izing", "tired", "ness", "[SEP]"]
    assert [t.continues for t in tokens] == [False, False, True, False, True, False]
    assert [t.special for t in tokens] == [True, False, False, False, False, True]


def test_a_pair_keeps_its_sentences_apart(minilm: engine.Model) -> None:
    tokens = tokens_of(minilm, "How old?", "My age is 7.")
    assert [t.text for t in tokens] == ["[CLS]", "How", "old", "?", "[SEP]", "My", "age", "is", "7", ".", "[SEP]"]
    assert [t.segment for t in tokens] == [0] * 5 + [1] * 6
    assert (tokens[5].start, tokens[5].end) == (0, 2)  # counted in the second sentence


def test_a_special_token_may_take_the_space_before_it(tmp_path: Path) -> None:
    made = tokenizers.Tokenizer(models.WordLevel({"two": 0, "run": 1, "<mask>": 2}, unk_token="run"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=True)])
    made.save(str(tmp_path / "tokenizer.json"))
    tokens = FileTokenizer(tmp_path / "tokenizer.json").encode("two <mask> run", limit=9)
    assert [(t.piece, t.special) for t in tokens] == [("two", False), ("<mask>", True), ("run", False)]


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧 went to the zoo 🦁",
        "مرحبا بالعالم",
        "我喜欢学习语言",
        "e\u0301 o\u0308 combining a\u0301\u0302\u0303",
        "zero\u200bwidth \u200djoiner\u200d and \ufeffmark",
        "\U0001f1e9\U0001f1ea \U0010ffff \x00 \x07 tail",
        "עברית and English معا",
        "tab\tnewline\nnon\u00a0breaking\u3000ideographic",
        "한국어 ภาษาไทย हिन्दी",
    ],
)
def test_any_unicode_is_traced(minilm: engine.Model, text: str) -> None:
    trace = engine.trace(minilm, text)
    assert_offsets_point_at_the_right_characters(trace.tokens["encoder"], text)
    assert trace["encoder.5.self.pattern"].isfinite().all()


def assert_offsets_point_at_the_right_characters(tokens: tuple[engine.Token, ...], text: str) -> None:
    before = (0, 0)
    for token in tokens:
        if token.start is None or token.end is None:
            assert token.special
            continue
        assert 0 <= token.start < token.end <= len(text)
        source = text[token.start : token.end]
        shared = (token.start, token.end) == before
        assert shared or token.start >= before[1]
        # A character that takes several tokens shows each of its parts; everything else reads as it was written.
        assert token.text == source or token.text in unicodedata.normalize("NFD", source).lower()
        before = (token.start, token.end)


def test_a_syllable_of_several_tokens_shows_its_letters(minilm: engine.Model) -> None:
    tokens = [t for t in tokens_of(minilm, "한국") if not t.special]
    assert "".join(t.text for t in tokens) == unicodedata.normalize("NFD", "한국")
    assert {(t.start, t.end) for t in tokens} == {(0, 1), (1, 2)}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_no_text_crashes_the_tokenizer(minilm: engine.Model, text: str) -> None:
    try:
        tokens = tokens_of(minilm, text)
    except EmptyText:
        return
    assert_offsets_point_at_the_right_characters(tokens, text)


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b", "\x00\x01"])
def test_nothing_to_trace_says_so(minilm: engine.Model, text: str) -> None:
    with pytest.raises(EmptyText):
        tokens_of(minilm, text)
    with pytest.raises(EmptyText, match="second"):
        tokens_of(minilm, "fine", text)
    with pytest.raises(EmptyText):
        tokens_of(minilm, text, "fine")


def test_a_special_token_alone_is_a_text(minilm: engine.Model) -> None:
    assert [t.text for t in tokens_of(minilm, "[MASK]")] == ["[CLS]", "[MASK]", "[SEP]"]


def test_half_a_surrogate_pair_says_so(minilm: engine.Model) -> None:
    with pytest.raises(BadInput, match="surrogate"):
        tokens_of(minilm, "broken \ud83d")


def test_a_text_over_the_limit_says_how_many_tokens_it_has(minilm: engine.Model) -> None:
    assert len(tokens_of(minilm, "word " * 510)) == 512
    with pytest.raises(TooLong, match=r"513 tokens .* at most 512") as caught:
        tokens_of(minilm, "word " * 511)
    assert (caught.value.tokens, caught.value.limit) == (513, 512)


def test_special_tokens_in_the_text_are_seen_as_such(minilm: engine.Model) -> None:
    mask = next(t for t in tokens_of(minilm, "the [MASK] sat") if t.text == "[MASK]")
    assert mask.special
    assert (mask.start, mask.end) == (4, 10)


@pytest.mark.parametrize("ids", [{"encoder": []}, {"encoder": [30522]}, {"encoder": [-1]}, {"decoder": [1]}, {}])
def test_ids_that_make_no_sense_say_so(minilm: engine.Model, ids: dict[str, list[int]]) -> None:
    with pytest.raises(BadInput):
        minilm.inputs(ids=ids)


def test_text_and_ids_together_say_so(minilm: engine.Model) -> None:
    with pytest.raises(BadInput, match="either"):
        minilm.inputs("text", ids={"encoder": [1]})
    with pytest.raises(BadInput, match="either"):
        minilm.inputs()


def test_a_model_without_a_tokenizer_still_traces_ids(tiny_bert: Callable[..., Path]) -> None:
    model = engine.load(tiny_bert(tokenizer=False))
    trace = engine.trace(model, ids={"encoder": [7, 8, 9]})
    assert [t.text for t in trace.tokens["encoder"]] == ["7", "8", "9"]
    with pytest.raises(TokenizerMissing, match=r"tokenizer\.json"):
        engine.trace(model, "the cat")


def test_a_damaged_tokenizer_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(CheckpointError, match="not a tokenizer file"):
        FileTokenizer(path)


def test_threads_share_one_tokenizer(minilm: engine.Model) -> None:
    texts = [f"text number {n} " * (n + 1) for n in range(8)]
    expected, wrong = [tokens_of(minilm, text) for text in texts], []

    def work(n: int) -> None:
        wrong.extend(n for _ in range(50) if tokens_of(minilm, texts[n]) != expected[n])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
