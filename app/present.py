"""Engine objects as the JSON bodies of schemas.py. Numbers stay float32, written at full length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
from torch import Tensor

import engine
from app.downloads import Files
from app.lessons import Lesson
from app.problems import LessonBroken
from app.runner import Known, Recipe
from app.wire import LONGEST, Answer
from app.words import cut
from engine.models import FAMILIES

Json = dict[str, Any]


def dump(body: Any) -> bytes:
    """JSON with float32 at its shortest exact length; what is not finite becomes null."""
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def model(known: Known) -> Json:
    """A card; see `schemas.Model`."""
    card = known.card
    family = next((family for family in FAMILIES if family.name == card.family), None)
    here = (source for source in card.sources if source.find())
    return {
        "id": card.id,
        "name": card.name,
        "family": card.family,
        "summary": card.summary,
        "parameters": card.parameters,
        "layers": card.layers,
        "heads": card.heads,
        "width": card.width,
        "limit": card.limit,
        "licence": card.licence,
        "homepage": card.homepage,
        "source": str(next(here, card.sources[0])),
        "revision": known.model.sha256 if known.model else card.sha256,
        "status": known.status,
        "downloadable": known.offered,
        "size": card.size,
        "pairs": family.pairs if family else None,
        "targets": family.start is not None if family else None,
        "generates": known.model.generates if known.model else False if family and not family.resume else None,
        "scores": card.scores,
        "examples": [asdict(example) for example in card.examples],
    }


def progress(files: Files) -> Json:
    """See `schemas.Progress`."""
    return {
        "done": sum(done for done, _ in files.values()),
        "total": sum(total for _, total in files.values()),
        "files": [{"name": name, "done": done, "total": total} for name, (done, total) in files.items()],
    }


def detail(known: Known) -> Json:
    """A card with stacks and sites; see `schemas.ModelDetail`."""
    loaded = known.model
    return {
        **model(known),
        "stacks": stacks(loaded.blocks) if loaded else None,
        "sites": sites(loaded) if loaded else None,
        "embedding_scale": loaded.family.embedding_scale(loaded.config) if loaded else None,
    }


def stacks(blocks: Sequence[engine.Block]) -> list[Json]:
    """Blocks by the stack they belong to."""
    by_stack: dict[str, list[engine.Block]] = {}
    for block in blocks:
        by_stack.setdefault(block.stack, []).append(block)
    return [
        {
            "name": name,
            "layers": own[0].layers,
            "heads": own[0].heads,
            "blocks": [{key: value for key, value in asdict(b).items() if key not in ("stack", "layers")} for b in own],
        }
        for name, own in by_stack.items()
    ]


def sites(loaded: engine.Model) -> list[Json]:
    """Every site once for all layers."""
    layers: dict[str, set[int]] = {}
    found: dict[str, engine.Site] = {}
    for site in loaded.sites.values():
        number = None if site.layer is None else "{layer}"
        address = ".".join(part for part in (site.stack, number, site.block, site.name) if part is not None)
        found.setdefault(address, site)
        layers.setdefault(address, set()).update(() if site.layer is None else (site.layer,))
    return [
        {
            "address": address,
            "layers": len(layers[address]) or None,
            "axes": list(site.axes[1:]),
            "meaning": site.meaning,
            "derived": site.derived,
        }
        for address, site in found.items()
    ]


def parameters(loaded: engine.Model) -> list[Json]:
    """See `schemas.Parameter`."""
    state = loaded.network.state_dict()
    return [
        {
            "name": one.name,
            "axes": list(one.sizes),
            "shape": list(one.sizes.values()),
            "dtype": str(state[one.name].dtype).removeprefix("torch."),
            **{name: getattr(one, name) for name in ("stack", "layer", "block", "letter")},
            "gates": list(one.gates),
        }
        for one in loaded.learned.values()
    ]


def parameter(loaded: engine.Model, name: str, axes: dict[str, Sequence[int]], values: Tensor) -> Answer:
    """Part of what a network has learned on its way out."""
    indices = {axis: list(those) for axis, those in axes.items()}
    about = {"model": loaded.id, "revision": loaded.revision, "weight": name, "axes": list(axes), "indices": indices}
    return Answer("tensor", values, axes, {}, about)


def tokens(made: engine.Trace) -> Json:
    """Tokens by stack, with their index."""
    return {
        stack: [{"index": index, **asdict(token)} for index, token in enumerate(those)]
        for stack, those in made.tokens.items()
    }


def trace(recipe: Recipe, made: engine.Trace) -> Json:
    """See `schemas.Trace`."""
    return {
        "id": made.digest,
        "model": made.model,
        "revision": made.revision,
        "text": recipe.text,
        "pair": recipe.pair,
        "tokens": tokens(made),
        "stacks": stacks(made.blocks),
        "prediction": made.prediction,
        "target": recipe.target,
        "said": recipe.said,
        "patches": list(made.patches),
        "parent": made.parent,
        "seed": made.seed,
    }


def step(made: engine.Step) -> Json:
    """One more token; see `schemas.Step`."""
    return {
        "position": made.position,
        "token": written(made.token),
        "probability": made.probability,
        "top": [
            {"token": written(other.token), "probability": other.probability, "chance": other.chance}
            for other in made.top
        ],
        "seconds": made.seconds,
        "ended": made.ended,
        "beams": [{**vars(beam), "token": written(beam.token)} for beam in made.beams],
    }


def written(token: engine.Token) -> Json:
    """A token that belongs to no place in a text; see `schemas.Written`."""
    return {name: getattr(token, name) for name in ("id", "text", "piece", "special", "continues")}


def attention(made: engine.Trace, maps: engine.Maps, *, reduce: str | None) -> Answer:
    """Maps on their way out; a place that stands for several is named by the first of them."""
    block = maps.block
    queries, query_tokens = _bins(made, block.query_stack, maps.queries, maps.query_edges)
    keys, key_tokens = _bins(made, block.key_stack, maps.keys, maps.key_edges)
    layer_count, head_count = maps.values.shape[:2]
    weights = maps.stage == "pattern"
    return Answer(
        name="attention",
        values=maps.values,
        axes={
            "layer": maps.layers if layer_count == len(maps.layers) else (str(reduce),),
            "head": maps.heads if head_count == len(maps.heads) and not reduce else (str(reduce),),
            "query": queries,
            "key": keys,
        },
        tokens={"query": query_tokens, "key": key_tokens},
        about={
            "trace": made.digest,
            "model": made.model,
            "stack": block.stack,
            "block": block.name,
            "stage": maps.stage,
            "axes": ["layer", "head", "query", "key"],
            "layers": maps.layers,
            "heads": maps.heads,
            "queries": maps.queries,
            "keys": maps.keys,
            "query_edges": maps.query_edges,
            "key_edges": maps.key_edges,
        },
        low=0.0 if weights else None,
        high=1.0 if weights else None,
    )


def _bins(
    made: engine.Trace, stack: str, indices: Sequence[int], edges: Sequence[int] | None
) -> tuple[list[int], list[str]]:
    """For each place along an axis, the first index and the text of all tokens it stands for."""
    texts = [token.text for token in made.tokens[stack]]
    if edges is None:
        return list(indices), [texts[index] for index in indices]
    bins = [indices[start:end] for start, end in pairwise(edges)]
    return [those[0] for those in bins], [cut(" ".join(texts[index] for index in those), LONGEST) for those in bins]


def tensor(made: engine.Trace, address: str, axes: dict[str, Sequence[int]], values: Tensor) -> Answer:
    """Any site's tensor on its way out."""
    site = made.site(address)
    block = made.block(site.stack, site.block) if site.block in {b.name for b in made.blocks} else None
    runs_over = {
        "position": site.stack,
        "query": block.query_stack if block else site.stack,
        "key": block.key_stack if block else site.stack,
    }
    texts = {
        axis: [made.tokens[runs_over[axis]][index].text for index in indices]
        for axis, indices in axes.items()
        if axis in runs_over
    }
    indices = {axis: list(those) for axis, those in axes.items()}
    about = {"trace": made.digest, "model": made.model, "address": address, "axes": list(axes), "indices": indices}
    weights = site.name == "pattern"
    return Answer("tensor", values, axes, texts, about, low=0.0 if weights else None, high=1.0 if weights else None)


def lens(made: engine.Trace, position: int, found: Sequence[engine.Guess]) -> Json:
    """See `schemas.Lens`."""
    stack = found[0].site.stack
    return {
        "stack": stack,
        "position": position % len(made.tokens[stack]),
        "said": written(found[-1].top[0][0]),
        "guesses": [
            {
                "site": guess.site.address,
                "layers": layers,
                "top": [{"token": written(token), "probability": np.float32(share)} for token, share in guess.top],
                "of_said": np.float32(guess.of_said),
            }
            for layers, guess in enumerate(found)
        ],
    }


def heads(found: engine.Heads) -> Json:
    """See `schemas.Heads`."""
    tables = {
        field.name: getattr(found, field.name) for field in fields(found) if field.name not in ("block", "layers")
    }
    return {
        "stack": found.block.stack,
        "block": found.block.name,
        "layers": found.layers,
        **{name: None if table is None else _numbers(table) for name, table in tables.items()},
    }


def arithmetic(made: engine.Trace, found: engine.Arithmetic) -> Json:
    """See `schemas.Arithmetic`."""
    block = found.block
    where = {name: getattr(found, name) for name in ("layer", "head", "query", "key")}
    rest = {field.name: getattr(found, field.name) for field in fields(found) if field.name not in {"block", *where}}
    return {
        "stack": block.stack,
        "block": block.name,
        **where,
        "query_token": made.tokens[block.query_stack][found.query].text,
        "key_token": made.tokens[block.key_stack][found.key].text,
        **{name: _numbers(value) for name, value in rest.items()},
    }


def _numbers(value: Any) -> Any:
    """Tensors and floats as numpy float32, which is what they were computed in."""
    if isinstance(value, Tensor):
        return value.detach().cpu().float().contiguous().numpy()
    return np.float32(value) if isinstance(value, float) else value


def lesson_row(name: str, found: Lesson | LessonBroken) -> Json:
    """See `schemas.LessonRow`."""
    if isinstance(found, LessonBroken):
        empty = {"title": name, "language": "en", "summary": "", "slides": 0, "steps": 0, "models": []}
        return {"name": name, **empty, "problem": found.detail}
    return {
        "name": name,
        "title": found.title,
        "language": found.language,
        "summary": found.summary,
        "slides": len(found.slides),
        "steps": found.steps,
        "models": list(found.models),
        "problem": None,
    }


def lesson(found: Lesson) -> Json:
    """See `schemas.Lesson`."""
    slides = [
        {name: getattr(slide, name) for name in ("title", "title_html", "text", "text_html", "notes", "notes_html")}
        | {"states": list(slide.states)}
        for slide in found.slides
    ]
    about = {name: getattr(found, name) for name in ("name", "title", "language", "summary")}
    return {**about, "slides": slides}
