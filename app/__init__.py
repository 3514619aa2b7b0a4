"""The web application: translates between HTTP and the engine, computes nothing."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["VERSION"]

try:  # as engine.version does, which would bring PyTorch along: too long a wait for `headlight --help`
    VERSION = version("headlight")
except PackageNotFoundError:  # a checkout that nobody installed
    VERSION = "0"
