"""The one training loop: every model here was made by it."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import engine
from engine import checkpoint
from engine.errors import EngineError
from engine.models import family_of
from engine.nn.attention import Attention
from engine.nn.positions import sinusoids
from engine.nn.recurrent import Recurrent
from engine.tap import SILENT
from engine.train.batches import bucketed, collate
from engine.train.dropout import Dropout
from engine.train.objectives import Objective, Trainee
from engine.train.recipe import BadRecipe, Recipe, Schedule

STATE = "training.safetensors"
SAVE_EVERY = 300.0
"""Seconds between two states on disk; a run that was killed goes on from the last one."""


class OtherRun(EngineError):
    """The run folder holds another recipe's run."""

    title = "The folder belongs to another run"


@dataclass
class Progress:
    """Where a run stands."""

    step: int = 0
    best: float | None = None
    waited: int = 0  # looks at val since the best one
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


def learning_rate(schedule: Schedule, step: int) -> float:
    """Up along a line, then down along a cosine to zero, once and after every restart; `step` counts from 0.

    Source: Loshchilov & Hutter 2017, section 3 (warm restarts).
    """
    starts = [0, *schedule.restarts, schedule.steps]
    cycle = sum(start <= step for start in starts[1:-1])
    first, last = starts[cycle : cycle + 2]
    if step - first < schedule.warmup:
        return schedule.peak * (step - first + 1) / schedule.warmup
    done = (step - first - schedule.warmup) / max(1, last - first - schedule.warmup)
    return schedule.peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def initialise(network: nn.Module, schedule: Schedule) -> None:
    """First weights: Xavier's for linear layers (Glorot & Bengio 2010), normal ones for embeddings.

    Learned positions may begin as sinusoids, twice as large: the neighbour is then one rotation away, everywhere. An
    LSTM begins to remember with a bias of its forget gate.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=schedule.embedding)
    position = getattr(network, "position", None)
    if schedule.positions == "sinusoids" and isinstance(position, nn.Embedding):
        length, width = position.weight.shape
        with torch.no_grad():
            position.weight.copy_(math.sqrt(8) * schedule.embedding * sinusoids(length, width, base=length))
    for module in network.modules():
        if isinstance(module, Attention):
            with torch.no_grad():
                module.q.weight.mul_(queries(module))
        if isinstance(module, Recurrent) and module.kind == "lstm":  # its gates are input, forget, candidate, output
            with torch.no_grad():
                module.cell.get_parameter("bias_ih_l0")[module.hidden : 2 * module.hidden] += schedule.forget


def queries(attention: Attention) -> float:
    """How large queries are: where scores are not divided by √d, as in T5, they are, and learn at a pace to match.

    Adam's steps are of one size, whatever the weight's; T5's own optimizer, Adafactor, takes them in proportion
    (Shazeer & Stern 2018, section 8).
    """
    return float(attention.head_dim**-0.5 / attention.scale)


def paces(network: nn.Module, schedule: Schedule) -> dict[int, float]:
    """By the id of its tensor, the learning rate of whatever has another one, as a multiple of everybody else's."""
    found = {id(m.weight): schedule.embedding_pace for m in network.modules() if isinstance(m, nn.Embedding)}
    return found | {id(m.q.weight): queries(m) for m in network.modules() if isinstance(m, Attention)}


def new_network(recipe: Recipe, vocabulary: int | None, device: torch.device | str) -> Trainee:
    """The recipe's network with its first weights, the same for the same seed."""
    raw = config_json(recipe, vocabulary)
    family = family_of(str(raw.get("model_type")))
    if family is None:
        raise BadRecipe(f"The recipe's model has model_type {raw.get('model_type')!r}, which no family here reads.")
    config = family.read_config(raw)
    torch.manual_seed(recipe.seed)
    network = family.build(config)
    initialise(network, recipe.schedule)
    if recipe.base is not None:
        network.load_state_dict(engine.load(recipe.base).network.state_dict(), strict=False)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in recipe.trainable))
    return Trainee(family, config, network.to(device))


def config_json(recipe: Recipe, vocabulary: int | None) -> dict[str, Any]:
    """The config.json of the recipe's model."""
    meant = {"$vocabulary": vocabulary, "$none": None}
    said = {name: meant.get(value, value) if isinstance(value, str) else value for name, value in recipe.model.items()}
    return said if recipe.base is None else said | {"base": recipe.base}


def has_bfloat16(device: torch.device) -> bool:
    """Whether the machine has units for matrices of bfloat16; elsewhere, AVX-512 included, float32 is faster."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported())


class Run:
    """One training in its folder: what is needed to take a step, and to go on after a kill as if nothing had been."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        objective: Objective,
        vocabulary: int | None,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.recipe, self.schedule, self.folder, self.objective = recipe, recipe.schedule, folder, objective
        self.device = torch.device(device)
        self.vocabulary = vocabulary
        self.model = new_network(recipe, vocabulary, self.device)
        self.average = Trainee(self.model.family, self.model.config, copy.deepcopy(self.model.network))
        for parameter in self.average.network.parameters():
            parameter.requires_grad_(False)
        trained = {name: p for name, p in self.model.network.named_parameters() if p.requires_grad}
        self.names = tuple(trained)
        self.parameters: list[Tensor] = list(trained.values())
        averages = dict(self.average.network.named_parameters())
        self.averages: list[Tensor] = [averages[name] for name in self.names]
        pace = paces(self.model.network, self.schedule)
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for tensor in self.parameters:
            decay = self.schedule.weight_decay if tensor.dim() > 1 else 0.0
            groups.setdefault((decay, pace.get(id(tensor), 1.0)), []).append(tensor)
        self.optimizer = torch.optim.AdamW(
            [{"params": some, "weight_decay": decay, "pace": own} for (decay, own), some in groups.items()],
            betas=(0.9, 0.98),
            fused=True,
        )
        self.tap = Dropout(recipe.dropout) if recipe.dropout else SILENT
        self.mixed = self.schedule.mixed and has_bfloat16(self.device)
        self.progress = Progress()
        self.digest = hashlib.sha256(recipe.to_json().encode()).hexdigest()
        if (folder / STATE).is_file():
            self.resume()

    # ---- one step

    def batches(self) -> Iterator[tuple[int, list[Mapping[str, Any]]]]:
        """Every step's examples, from where the run stands; the same whenever they are asked for."""
        epoch, first = 0, 0
        while True:
            examples = self.objective.examples(epoch)
            those = bucketed(examples, self.schedule.tokens, f"{self.recipe.seed} batches {epoch}")
            for step, batch in enumerate(those, first):
                if step >= self.progress.step:
                    yield step, [examples[at] for at in batch]
            epoch, first = epoch + 1, first + len(those)

    def autocast(self) -> torch.autocast:
        """Mixed precision, where the recipe wants it and the machine has it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed)

    def take_step(self, step: int, examples: list[Mapping[str, Any]]) -> tuple[float, int]:
        """One batch: the mean loss, and how many predictions it had."""
        torch.manual_seed(self.recipe.seed * 1_000_003 + step)  # so that nothing of the generators needs to be kept
        batch = collate(examples, self.device)
        with self.autocast():
            loss, count = self.objective.loss(self.model, batch, self.tap, self.schedule.smoothing)
        mean = loss / count
        mean.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.schedule, step) * group["pace"]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        # Early on the average follows faster, so that it soon forgets the first weights.
        decay = min(self.schedule.average, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.parameters, 1 - decay)
        return float(mean.detach()), count

    # ---- val

    def evaluate(self) -> dict[str, float]:
        """The averaged network on val: its mean loss, and its score where the objective has one."""
        total, count = 0.0, 0
        with torch.inference_mode(), self.autocast():
            for batch in bucketed(self.objective.val, 2 * self.schedule.tokens, "val"):
                those = collate([self.objective.val[at] for at in batch], self.device)
                torch.manual_seed(len(batch))
                loss, some = self.objective.loss(self.average, those, SILENT, 0.0)
                total, count = total + float(loss), count + some
            found = {"loss": total / count}
            score = self.objective.score(self.average)
        return found if score is None else found | {"score": score}

    def look(self) -> dict[str, float]:
        """Evaluate, and keep the averaged weights if they are the best so far."""
        found = self.evaluate()
        value = found.get("score", found["loss"])
        progress = self.progress
        better = progress.best is None or (value > progress.best if "score" in found else value < progress.best)
        progress.history.append({"step": progress.step, **found})
        progress.waited = 0 if better else progress.waited + 1
        if better:
            progress.best = value
            self.export()
        return found

    def export(self) -> None:
        """Write the averaged weights as a model folder's model.safetensors, in float16, and its config.json."""
        rules = self.average.family.rules(self.average.config)
        if self.recipe.base is not None:  # what did not change comes from there
            rules = replace(rules, rules=tuple(rule for rule in rules.rules if {*rule.names} & {*self.names}))
        tensors = checkpoint.export(self.average.network, rules)
        half = {name: value.to("cpu", torch.float16).contiguous() for name, value in tensors.items()}
        write_atomically(half, self.folder / checkpoint.WEIGHTS, {"format": "pt"})
        text = json.dumps(config_json(self.recipe, self.vocabulary), indent=2) + "\n"
        (self.folder / checkpoint.CONFIG).write_text(text, encoding="utf-8")

    # ---- on disk

    def save(self) -> None:
        """Write everything that the run needs to go on exactly as it would have."""
        tensors: dict[str, Tensor] = {}
        for name, parameter, mean in zip(self.names, self.parameters, self.averages, strict=True):
            tensors |= {f"model.{name}": parameter.detach(), f"average.{name}": mean}
            # Nothing where no gradient has come yet, as in a head whose task is still to begin.
            tensors |= {f"{moment}.{name}": value for moment, value in self.optimizer.state[parameter].items()}
        about = {"recipe": self.digest, "progress": json.dumps(vars(self.progress))}
        write_atomically({name: value.contiguous() for name, value in tensors.items()}, self.folder / STATE, about)

    def resume(self) -> None:
        """Go on where `save` was called last; `OtherRun` under another recipe."""
        with safe_open(self.folder / STATE, framework="pt", device=str(self.device)) as file, torch.no_grad():
            about = file.metadata()
            if about["recipe"] != self.digest:
                raise OtherRun(
                    f"{self.folder} holds a run of another recipe, or of this one before it was changed. "
                    "Delete the folder to begin anew, or give another one with --runs DIR."
                )
            self.progress = Progress(**json.loads(about["progress"]))
            known = {*file.keys()}
            for name, parameter, mean in zip(self.names, self.parameters, self.averages, strict=True):
                parameter.copy_(file.get_tensor(f"model.{name}"))
                mean.copy_(file.get_tensor(f"average.{name}"))
                state = {moment: f"{moment}.{name}" for moment in MOMENTS}
                if {*state.values()} <= known:
                    self.optimizer.state[parameter] = {moment: file.get_tensor(key) for moment, key in state.items()}


MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def write_atomically(tensors: dict[str, Tensor], path: Path, about: dict[str, str]) -> None:
    """Write a safetensors file so that whoever looks finds the old one or the new one, never a part."""
    part = path.with_suffix(".part")
    save_file(tensors, part, about)
    os.replace(part, path)


Watch = Callable[[int, dict[str, float]], None]
"""Told of every look at val: the step, and its figures by name."""


def tensorboard(folder: Path) -> Watch:
    """Write TensorBoard event files to that folder; `BadRecipe` where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (an extra)
    except ImportError:
        raise BadRecipe(
            "TensorBoard is not installed. Install it in the checkout with: python -m pip install -e '.[train]'."
        ) from None
    writer = SummaryWriter(str(folder))

    def watch(step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return watch


def train(run: Run, *, progress: bool = True, watch: Watch | None = None) -> Progress:
    """Train to the end of the schedule, or until val gets no better; `watch(step, figures)` is told of every look."""
    import tqdm  # noqa: PLC0415

    state, schedule = run.progress, run.schedule
    began, saved = time.monotonic() - state.seconds, time.monotonic()
    bar = tqdm.tqdm(
        total=schedule.steps, initial=state.step, unit="step", desc=run.recipe.name, disable=None if progress else True
    )
    mean, tokens, since = 0.0, 0, time.monotonic()
    with bar:
        for step, examples in run.batches():
            if step >= schedule.steps or state.waited >= schedule.patience:
                break
            loss, count = run.take_step(step, examples)
            mean = loss if not mean else 0.98 * mean + 0.02 * loss
            tokens += count
            state.step = step + 1
            state.seconds = time.monotonic() - began
            bar.update()
            bar.set_postfix(loss=f"{mean:.3f}", tokens=f"{tokens / (time.monotonic() - since):,.0f}/s", refresh=False)
            if state.step % schedule.evaluate == 0 or state.step == schedule.steps:
                found = run.look()
                run.save()
                saved = time.monotonic()
                if watch is not None:
                    watch(state.step, {"train_loss": mean, **found})
            elif time.monotonic() - saved > SAVE_EVERY:
                run.save()
                saved = time.monotonic()
    return state
