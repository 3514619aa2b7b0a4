"""See attention from Python: load a model, trace a text, look at any tensor of any layer and head.

>>> import engine
>>> model = engine.load("minilm")
>>> trace = engine.trace(model, "The animal didn't cross the street because it was too tired")
>>> trace.slice("encoder.5.self.pattern", head=[11], query=[10])  # what "it" looks at
>>> engine.generate(engine.load("gpt-captions"), "Two dogs", max_new_tokens=20, temperature=0.8, seed=1)
"""

from engine import derive, errors
from engine.decoding import Beam, Candidate, Decoding, Step, Steps, decode
from engine.generate import continued, generate, prompt
from engine.gradients import Logit, Loss, Number, gradients
from engine.learned import Learned
from engine.lens import Guess, guesses
from engine.maps import Arithmetic, Heads, Maps, arithmetic, attention, heads
from engine.model import Inputs, Model, digest, load, trace
from engine.patches import Copy, Knockout, Mean, Scale, Zero
from engine.registry import Example, ModelCard, card, cards
from engine.sites import Block, Site
from engine.tap import SILENT, Capture, Patch, Recorder, Tap
from engine.tokens import Token
from engine.trace import Trace

__all__ = [
    "SILENT",
    "Arithmetic",
    "Beam",
    "Block",
    "Candidate",
    "Capture",
    "Copy",
    "Decoding",
    "Example",
    "Guess",
    "Heads",
    "Inputs",
    "Knockout",
    "Learned",
    "Logit",
    "Loss",
    "Maps",
    "Mean",
    "Model",
    "ModelCard",
    "Number",
    "Patch",
    "Recorder",
    "Scale",
    "Site",
    "Step",
    "Steps",
    "Tap",
    "Token",
    "Trace",
    "Zero",
    "arithmetic",
    "attention",
    "card",
    "cards",
    "continued",
    "decode",
    "derive",
    "digest",
    "errors",
    "generate",
    "gradients",
    "guesses",
    "heads",
    "load",
    "prompt",
    "trace",
]
