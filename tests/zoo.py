"""A tiny random model of every family that the bundled one is not, as folders that the app can serve."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import sentencepiece
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from engine import checkpoint
from engine.models import recurrent as one_sequence
from engine.models import seq2seq

SENTENCES = [
    "the animal did not cross the street because it was too tired",
    "two dogs run in the snow",
    "un chien court dans la neige",
    "deux chiens dorment sur la table",
]
SPECIAL = ["<pad>", "</s>"]
MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CLASSES = ("O", "ANIMAL", "PLACE")


def make(root: Path) -> tuple[Path, ...]:
    """Writes the folders and says which: Transformers, recurrent encoder-decoders, and networks over one sequence."""
    torch.manual_seed(0)
    made = {**_decoders(root), **_encoders(root), **_translators(root)}
    for name, network in made.items():
        _stir(network, 0.2)
        network.save_pretrained(root / name)
    return tuple(root / name for name in (*made, *_recurrent(root), *_long(root), *_concat(root)))


def _decoders(root: Path) -> dict[str, Any]:
    """tiny-gpt2 and tiny-llama."""
    words = _tokenizer()
    size = words.get_vocab_size()
    made = {
        "tiny-gpt2": transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=size, n_embd=48, n_layer=4, n_head=6, n_positions=128)
        ),
        "tiny-llama": transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=size,
                hidden_size=48,
                num_hidden_layers=3,
                num_attention_heads=6,
                num_key_value_heads=2,
                intermediate_size=80,
                max_position_embeddings=128,
            )
        ),
    }
    _write(dict.fromkeys(made, words), root)
    return made


def _long(root: Path) -> tuple[str, ...]:
    """tiny-long, whose texts have thousands of tokens and are explored in pieces."""
    words = _tokenizer()
    config = transformers.GPT2Config(
        vocab_size=words.get_vocab_size(), n_embd=32, n_layer=2, n_head=2, n_positions=8192
    )
    network = transformers.GPT2LMHeadModel(config)
    _stir(network, 0.2)
    network.save_pretrained(root / "tiny-long")
    _write({"tiny-long": words}, root)
    return ("tiny-long",)


def _encoders(root: Path) -> dict[str, Any]:
    """tiny-bert-mlm fills masks and judges pairs, tiny-roberta fills masks, tiny-bert-tokens gives tokens classes."""
    pieces, letters = _pieces(), _tokenizer(special=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    letters.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=True)])
    letters.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True)
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6, "intermediate_size": 80}
    bert = transformers.BertConfig(vocab_size=pieces.get_vocab_size(), max_position_embeddings=128, **sizes)
    roberta = transformers.RobertaConfig(vocab_size=letters.get_vocab_size(), max_position_embeddings=130, **sizes)
    classes = transformers.BertConfig(**{**bert.to_dict(), "id2label": dict(enumerate(CLASSES))})
    _write({"tiny-bert-mlm": pieces, "tiny-bert-tokens": pieces, "tiny-roberta": letters}, root)
    classes.initializer_range = 1.0  # so that its tokens are of several classes
    return {
        "tiny-bert-mlm": transformers.BertForPreTraining(bert),
        "tiny-bert-tokens": transformers.BertForTokenClassification(classes),
        "tiny-roberta": transformers.RobertaForMaskedLM(roberta),
    }


def _translators(root: Path) -> dict[str, Any]:
    """tiny-t5, and tiny-marian with its two SentencePiece models."""
    marked = _tokenizer(ends=True)
    _write({"tiny-t5": marked}, root)
    folder = root / "tiny-marian"
    folder.mkdir()
    pieces = spm(SENTENCES[2:], folder / "source.spm", 60) + spm(SENTENCES[:2], folder / "target.spm", 60)
    vocabulary = list(dict.fromkeys(["</s>", "<unk>", *pieces, "<pad>"]))
    (folder / "vocab.json").write_text(json.dumps({piece: id for id, piece in enumerate(vocabulary)}))
    t5 = transformers.T5Config(
        vocab_size=marked.get_vocab_size(),
        d_model=48,
        d_kv=8,
        d_ff=80,
        num_heads=6,
        num_layers=3,
        decoder_start_token_id=0,
    )
    marian = transformers.MarianConfig(
        vocab_size=len(vocabulary),
        d_model=48,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=80,
        decoder_ffn_dim=80,
        max_position_embeddings=128,
        decoder_start_token_id=len(vocabulary) - 1,
        pad_token_id=len(vocabulary) - 1,
        eos_token_id=0,
    )
    return {
        "tiny-t5": transformers.T5ForConditionalGeneration(t5),
        "tiny-marian": transformers.MarianMTModel(marian),
    }


def _recurrent(root: Path) -> tuple[str, ...]:
    """Encoder-decoders: tiny-gru aligns, tiny-lstm does not, tiny-luong has two layers of plain cells and multiplies.

    Over one sequence: tiny-sentiment and tiny-numbers pool it into a class and a number, tiny-lstm-tagger gives each
    token a class and has two layers in two directions; tiny-rnn, tiny-gru-words and tiny-lstm-words say the next token.
    """
    words, marked = _tokenizer(), _tokenizer(ends=True)
    size = words.get_vocab_size()
    sizes = {"vocabulary": size, "target_vocabulary": size, "embedding": 24, "hidden": 32, "attention_width": 16}
    two = {
        "tiny-gru": seq2seq.Config(**sizes, kind="gru"),
        "tiny-lstm": seq2seq.Config(**sizes, kind="lstm", attention=None),
        "tiny-luong": seq2seq.Config(**sizes, kind="rnn", layers=2, bidirectional=False, attention="general"),
    }
    one_text = {"vocabulary": size, "embedding": 16, "hidden": 24}
    one = {
        "tiny-sentiment": one_sequence.Config(
            kind="lstm", task="class", labels=("negative", "positive"), pool=1, **one_text
        ),
        "tiny-numbers": one_sequence.Config(kind="rnn", task="number", hidden=24, pool=1, steps=20),
        "tiny-lstm-tagger": one_sequence.Config(
            kind="lstm", task="token-class", labels=CLASSES, layers=2, bidirectional=True, **one_text
        ),
        **{f"tiny-{kind}-words": one_sequence.Config(kind=kind, **one_text) for kind in ("gru", "lstm")},
        "tiny-rnn": one_sequence.Config(kind="rnn", **one_text),
    }
    for name, config in two.items():
        _save(root / name, "seq2seq", config, seq2seq.Seq2Seq(config), seq2seq.rules(config))
    for name, config in one.items():
        network = one_sequence.Network(config)
        if config.task == "token-class":
            _stir(network, 0.5)
            torch.nn.init.zeros_(network.output.bias)
        _save(root / name, "recurrent", config, network, one_sequence.rules(config))
    _write(dict.fromkeys(two, marked) | dict.fromkeys((n for n, c in one.items() if c.vocabulary), words), root)
    return (*two, *one)


def _concat(root: Path) -> tuple[str, ...]:
    """tiny-concat, with two layers in two directions, which adds as Luong did: with the state of the step itself."""
    marked = _tokenizer(ends=True)
    size = marked.get_vocab_size()
    sizes = {"vocabulary": size, "target_vocabulary": size, "embedding": 24, "hidden": 32, "attention_width": 16}
    config = seq2seq.Config(**sizes, kind="lstm", layers=2, attention="concat")
    _save(root / "tiny-concat", "seq2seq", config, seq2seq.Seq2Seq(config), seq2seq.rules(config))
    _write({"tiny-concat": marked}, root)
    return ("tiny-concat",)


def _stir(network: torch.nn.Module, by: float) -> None:
    """Away from the start, where tokens are hardly told apart."""
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(torch.randn_like(weights), alpha=by)


def _save(folder: Path, kind: str, config: Any, network: torch.nn.Module, rules: checkpoint.Rules) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": kind, **vars(config)}))
    checkpoint.save(network, rules, folder / "model.safetensors")


def _write(made: dict[str, tokenizers.Tokenizer], root: Path) -> None:
    for name, tokenizer in made.items():
        (root / name).mkdir(exist_ok=True)
        tokenizer.save(str(root / name / "tokenizer.json"))


def spm(sentences: list[str], path: Path, size: int = 42) -> list[str]:
    """Train a SentencePiece model; its pieces."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 30),
        model_writer=model,
        vocab_size=size,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())
    trained = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [trained.id_to_piece(id) for id in range(3, trained.get_piece_size())]


def _pieces() -> tokenizers.Tokenizer:
    """BERT's: lower case, whole words and their letters, [CLS] and [SEP] around one sentence or two."""
    words = dict.fromkeys(" ".join(SENTENCES).split())
    letters = [mark + letter for mark in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz.,'"]
    vocabulary = {piece: id for id, piece in enumerate(dict.fromkeys([*MARKS, *words, *letters]))}
    made = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.add_special_tokens(MARKS)
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", MARKS.index("[CLS]")), ("[SEP]", MARKS.index("[SEP]"))],
    )
    return made


def _tokenizer(*, ends: bool = False, special: list[str] = SPECIAL) -> tokenizers.Tokenizer:
    """Bytes and a few words; with `ends`, every text closes with </s>."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(SENTENCES * 5, trainer)
    if ends:
        made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return made
