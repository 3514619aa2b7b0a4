"""The command line: `headlight serve`, `trace`, `generate`, `models`, `data fetch`, `train` and `score`."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app import VERSION

if TYPE_CHECKING:
    from app.settings import Settings
    from engine import ModelCard

EXAMPLES = """\
examples:
  headlight serve                                   the page, on http://127.0.0.1:8000
  headlight serve --host 0.0.0.0 --port 80 --allow-host demo.example.org
  headlight trace "I kicked the ball" --out ball.safetensors
  headlight models
  headlight models pull gpt2                        from the Hugging Face hub
  headlight data fetch                              the text that the bundled models were trained on
  headlight train transformer-fr-en --data data     into runs/transformer-fr-en
  headlight score --all --data data

Everything else is set in the environment, as HEADLIGHT_*: see the table in the README.
"""


class Failure(Exception):
    """Something that the person at the terminal can do something about; its text is what they read."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, or 2 after one line on standard error."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130
    except Failure as error:
        print(f"headlight: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="headlight",
        description="See attention: what every head of a real network looks at, in the browser or as a file.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"headlight {VERSION}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the page and the API", description="Serve the page and the API.")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", default=8000, type=port, help="port to listen on, 0 for a free one (default: 8000)")
    serve.add_argument(
        "--model", metavar="M", help="the model that the page opens with, a folder with a checkpoint, or org/name"
    )
    serve.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a host name that visitors may use besides this machine's own; may be repeated",
    )
    serve.set_defaults(run=run_serve)

    trace = commands.add_parser(
        "trace", help="run a model over a text", description="Run a model over a text and write all that it computed."
    )
    trace.add_argument("text", metavar="TEXT", help="the sentence")
    trace.add_argument("--pair", metavar="TEXT", help="a second sentence, for models that read two")
    trace.add_argument("--target", metavar="TEXT", help="what an encoder-decoder says; it decodes by itself without")
    trace.add_argument(
        "--model",
        metavar="M",
        default="minilm",
        help="a model's id, a folder with a checkpoint, or org/name (default: %(default)s)",
    )
    trace.add_argument("--out", metavar="FILE", type=Path, required=True, help="the safetensors file to write")
    trace.set_defaults(run=run_trace)

    generate = commands.add_parser("generate", help="continue a text", description="Continue a text, token by token.")
    generate.add_argument("text", metavar="TEXT", help="how it begins; an encoder-decoder's source")
    generate.add_argument("--target", metavar="TEXT", help="how an encoder-decoder's answer begins")
    generate.add_argument("--model", metavar="M", required=True, help="a model's id, a folder, or org/name")
    generate.add_argument("--max-new-tokens", metavar="N", type=int, default=20, help="(default: %(default)s)")
    generate.add_argument("--temperature", metavar="T", type=float, default=0.0, help="0 takes the likeliest (default)")
    generate.add_argument("--top-k", metavar="K", type=int, help="draw among that many of the likeliest")
    generate.add_argument("--top-p", metavar="P", type=float, help="draw among the fewest with this probability")
    generate.add_argument("--seed", metavar="N", type=int, default=0, help="(default: %(default)s)")
    generate.add_argument("--beams", metavar="N", type=int, default=1, help="texts continued side by side")
    generate.add_argument("--out", metavar="FILE", type=Path, help="write the trace of all of it there")
    generate.set_defaults(run=run_generate)

    models = commands.add_parser(
        "models", help="list the models, or fetch one", description="List the models that are known by name."
    )
    models.set_defaults(run=run_models)
    pull = models.add_subparsers(title="commands", metavar="COMMAND").add_parser(
        "pull",
        help="download a model from the Hugging Face hub",
        description="Download a model from the Hugging Face hub, if HEADLIGHT_DOWNLOADS allows it. What a broken "
        "connection has brought is kept: the same command goes on from there.",
    )
    pull.add_argument("id", metavar="ID", help="a model's id, org/name or org/name@revision")
    pull.set_defaults(run=run_pull)

    add_training(commands)
    return top


def add_training(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands that models are made and measured with."""
    data = commands.add_parser("data", help="the text that models are trained on").add_subparsers(
        title="commands", required=True, metavar="COMMAND"
    )
    fetch = data.add_parser(
        "fetch",
        help="fetch it from its public sources",
        description="Fetch the text of the bundled models' training from its public sources, checked by sha256.",
    )
    fetch.add_argument("--data", metavar="DIR", type=Path, default=Path("data"), help="where to (default: %(default)s)")
    fetch.set_defaults(run=run_fetch)

    train = commands.add_parser(
        "train", help="train a model", description="Train a model, or go on with a training that was stopped."
    )
    train.add_argument("recipe", metavar="RECIPE", help="a recipe that comes along, by name, or a recipe file")
    train.add_argument(
        "--data", metavar="DIR", type=Path, help="the folder of the data files (default: the recipe's, or data)"
    )
    train.add_argument("--runs", metavar="DIR", type=Path, default=Path("runs"), help="where to (default: %(default)s)")
    train.add_argument("--device", default="cpu", help="the torch device to train on (default: %(default)s)")
    train.add_argument("--threads", type=int, help="processors to use (default: all)")
    train.add_argument("--tensorboard", action="store_true", help="write TensorBoard event files beside the model")
    train.set_defaults(run=run_train)

    score = commands.add_parser(
        "score", help="measure trained models", description="Measure a model on val and test, beside its goals."
    )
    score.add_argument("names", metavar="NAME", nargs="*", help="a bundled model, or the recipe of a run")
    score.add_argument("--all", action="store_true", help="every bundled model")
    score.add_argument("--data", metavar="DIR", type=Path, required=True, help="the folder with the data files")
    score.add_argument("--runs", metavar="DIR", type=Path, help="score what was trained into this folder")
    score.add_argument("--threads", type=int, help="processors to use (default: all)")
    score.set_defaults(run=run_score)


def port(text: str) -> int:
    """A TCP port, for argparse."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 0 to 65535")
    return int(text)


def run_serve(options: argparse.Namespace) -> int:
    """Serve until someone presses Ctrl-C."""
    import asyncio  # noqa: PLC0415 (imports wait until they are needed: --help and --version answer at once)

    import uvicorn  # noqa: PLC0415

    from app import logs  # noqa: PLC0415
    from app.main import create_app  # noqa: PLC0415
    from app.problems import Problem  # noqa: PLC0415
    from app.settings import BadSetting  # noqa: PLC0415
    from engine.errors import EngineError  # noqa: PLC0415

    settings = read_settings()
    name, models = options.model or settings.default_model, settings.models
    if options.model and Path(name).is_dir():
        folder = Path(name).resolve()  # `.` has no name of its own
        name, models = folder.name, (*models, str(folder))
    listener = listen(options.host, options.port)
    if name not in {Path(folder).resolve().name for folder in models}:
        name = fetched(name, settings).id
    hosts = (*settings.allowed_hosts, *own_names(options.host), *options.allow_host)
    settings = settings.model_copy(update={"default_model": name, "models": models, "allowed_hosts": hosts})
    logs.configure(settings)

    async def serve() -> None:
        # The app starts here and not inside uvicorn, which would turn a wrong model name into a page of traceback.
        async with AsyncExitStack() as stack:
            with reading() as progress:
                app = create_app(settings, progress)
                await stack.enter_async_context(app.router.lifespan_context(app))
            print(f"Headlight is on {address(listener)}  (Ctrl-C stops it)", file=sys.stderr, flush=True)
            config = uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            )
            await uvicorn.Server(config).serve(sockets=[listener])

    try:
        asyncio.run(serve())
    except (EngineError, Problem) as error:
        raise Failure(error.detail) from None
    except BadSetting as error:
        raise Failure(str(error)) from None
    return 0


def read_settings() -> Settings:
    """What the environment says."""
    from pydantic import ValidationError  # noqa: PLC0415

    from app.settings import Settings  # noqa: PLC0415

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise Failure(f"HEADLIGHT_{name}: {first['msg']}.") from None


def listen(host: str, wanted: int) -> socket.socket:
    """A socket bound to that address, taken before the model is loaded so that nobody waits for a refusal."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(128)
    except OSError as error:
        why = {98: "something else is using it", 48: "something else is using it", 13: "it needs more rights"}
        reason = why.get(error.errno or 0, error.strerror or str(error))
        raise Failure(f"can't listen on {host} port {wanted}: {reason}. Choose another with --port.") from None
    return listener


def address(listener: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, bound = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{bound}"


def own_names(host: str) -> tuple[str, ...]:
    """Names under which a server on `host` is visited; on all interfaces that is this machine's name and addresses."""
    if host not in ("0.0.0.0", "::", ""):
        return (f"[{host}]" if ":" in host else host,)
    name = socket.gethostname()
    try:
        addresses = socket.gethostbyname_ex(name)[2]
    except OSError:
        addresses = []
    return (name, *addresses)


@contextmanager
def reading(delay: float = 1.0) -> Iterator[Callable[[int, int], None]]:
    """A bar, on a terminal, for what tells how many bytes it has read of how many; not for what takes no second."""
    import tqdm  # noqa: PLC0415

    with tqdm.tqdm(
        desc="reading the weights", unit="B", unit_scale=True, unit_divisor=1024, delay=delay, leave=False, disable=None
    ) as bar:

        def progress(done: int, size: int) -> None:
            bar.total = size
            bar.update(done - bar.n)

        yield progress


@contextmanager
def downloading(id: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar, on a terminal, for a download of several files."""
    import tqdm  # noqa: PLC0415

    files: dict[str, tuple[int, int]] = {}
    with tqdm.tqdm(desc=f"downloading {id}", unit="B", unit_scale=True, disable=None) as bar:

        def watch(name: str, done: int, size: int) -> None:
            files[name] = (done, size)
            bar.total = sum(size for _, size in files.values())
            bar.update(sum(done for done, _ in files.values()) - bar.n)

        yield watch


def fetched(name: str, settings: Settings) -> ModelCard:
    """The card of a model whose files are here, downloaded first where they were not and may be."""
    import engine  # noqa: PLC0415
    from app.downloads import choose, offered  # noqa: PLC0415
    from app.problems import Problem  # noqa: PLC0415
    from app.settings import BadSetting  # noqa: PLC0415

    try:
        offers = offered(settings.downloads)
        card = offers.get(name) or next((card for card in engine.cards() if card.id == name), None)
        if card is not None and card.status() == "ready":
            return card
        card = choose(name, offers)
        if card.status() == "absent":
            with downloading(card.id) as watch:
                card.download(watch)
    except (Problem, engine.errors.EngineError) as error:
        raise Failure(error.detail) from None
    except BadSetting as error:
        raise Failure(str(error)) from None
    return card


def run_pull(options: argparse.Namespace) -> int:
    """Download a model."""
    card = fetched(options.id, read_settings())
    print(f"{card.id} is here: {card.folder()}")
    return 0


def run_trace(options: argparse.Namespace) -> int:
    """Write a trace to a file."""
    import engine  # noqa: PLC0415

    settings = read_settings()
    if not options.out.parent.is_dir():
        raise Failure(f"there is no folder {options.out.parent} to write {options.out.name} to.")
    named = options.model if Path(options.model).is_dir() else fetched(options.model, settings)
    try:
        with reading() as progress:
            model = engine.load(named, device=settings.device, progress=progress)
        trace = engine.trace(model, options.text, pair=options.pair, target=options.target)
        size = options.out.write_bytes(trace.to_bytes())
    except engine.errors.EngineError as error:
        raise Failure(error.detail) from None
    except OSError as error:
        raise Failure(f"can't write {options.out}: {error.strerror or error}.") from None
    tokens = sum(len(those) for those in trace.tokens.values())
    print(f"{options.out}: {tokens} tokens, {len(trace.tensors)} tensors, {size / 2**20:.1f} MiB")
    return 0


def run_generate(options: argparse.Namespace) -> int:
    """Print what a model says, as it says it."""
    import engine  # noqa: PLC0415

    settings = read_settings()
    names = ("max_new_tokens", "temperature", "top_k", "top_p", "seed", "beams")
    try:
        how = engine.Decoding(**{name: getattr(options, name) for name in names})
        named = options.model if Path(options.model).is_dir() else fetched(options.model, settings)
        with reading() as progress:
            model = engine.load(named, device=settings.device, progress=progress)
        inputs = engine.prompt(model, options.text, target=options.target)
        steps, ids, shown = engine.decode(model, inputs.tokens, how), list[int](), ""
        while True:
            try:
                ids.append(next(steps).token.id)
            except StopIteration as end:
                said = end.value
                break
            if how.beams == 1 and ids[-1] not in model.stops:  # of several beams, which is best is known at the end
                text = model.text_of(ids)
                print(text[len(shown) :], end="", flush=True)
                shown = text
        print(model.text_of(said)[len(shown) :])
        if options.out:
            options.out.write_bytes(engine.trace(model, engine.continued(model, inputs, said)).to_bytes())
    except engine.errors.EngineError as error:
        raise Failure(error.detail) from None
    except OSError as error:
        raise Failure(f"can't write {options.out}: {error.strerror or error}.") from None
    return 0


def run_models(options: argparse.Namespace) -> int:  # noqa: ARG001
    """Print a table of the models."""
    import engine  # noqa: PLC0415

    head = ("id", "name", "family", "layers", "heads", "width", "tokens", "parameters", "licence", "files")
    rows = [
        (
            card.id,
            card.name,
            card.family,
            str(card.layers),
            str(card.heads),
            str(card.width),
            str(card.limit),
            f"{card.parameters / 1e6:.1f} M" if card.parameters else "?",
            card.licence,
            {"ready": "here", "absent": "to be fetched"}[card.status()],
        )
        for card in engine.cards()
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def run_fetch(options: argparse.Namespace) -> int:
    """Fetch the training data."""
    from engine.train import sources  # noqa: PLC0415

    missing = sources.fetch(options.data, told=lambda name, what: print(f"{name} {what}", flush=True))
    if missing:
        raise Failure(
            f"{len(missing)} of {len(sources.SHA256)} files were not to be had; what was is in {options.data}."
        )
    return 0


def run_train(options: argparse.Namespace) -> int:
    """Train a recipe's model into a folder of its name."""
    import torch  # noqa: PLC0415

    from engine.errors import EngineError  # noqa: PLC0415
    from engine.train import loop, recipe, start  # noqa: PLC0415

    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        wanted = recipe.read(options.recipe)
        folder = options.runs / wanted.name
        data = options.data or (Path("data") if options.recipe in recipe.bundled() else Path(options.recipe).parent)
        run = start.start(wanted, data, folder, device=options.device)
        watches = [report, *([loop.tensorboard(folder / "events")] if options.tensorboard else [])]

        def watch(step: int, figures: dict[str, float]) -> None:
            for told in watches:
                told(step, figures)

        found = loop.train(run, watch=watch)
    except EngineError as error:
        raise Failure(error.detail) from None
    print(f"{folder}: {found.step} steps in {found.seconds / 60:.0f} minutes; best on val {found.best:.4g}")
    return 0


def run_score(options: argparse.Namespace) -> int:
    """Print a table of what the models reach."""
    import torch  # noqa: PLC0415

    import engine  # noqa: PLC0415
    from engine.train import recipe, scoring  # noqa: PLC0415

    if options.threads:
        torch.set_num_threads(options.threads)
    cards = {card.id: card for card in engine.cards() if card.id in recipe.bundled()}
    names = list(cards) if options.all else options.names
    if not names:
        raise Failure("say which model to score, or --all.")
    try:
        recipes = {made.name: made for made in map(recipe.read, names)}
        figures = {}
        for name, made in recipes.items():
            folder = options.runs / name if options.runs else engine.card(name).folder()
            model = engine.load(folder if options.runs else name)
            figures[name] = scoring.measure(made, model, folder, options.data)
    except engine.errors.EngineError as error:
        raise Failure(error.detail) from None
    found = scoring.rows(figures, recipes)
    print("\n".join(scoring.table(found)))
    return 1 if any(row.reached is False for row in found) else 0


def report(step: int, figures: dict[str, float]) -> None:
    """Print how a training stands."""
    print(f"step {step}:", ", ".join(f"{name} {value:.4g}" for name, value in figures.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
