"""The web application: translates between HTTP and the engine, computes nothing."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("headlight")
except PackageNotFoundError:  # a checkout that nobody installed
    VERSION = "0"
