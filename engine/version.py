"""The release; part of every trace's id, so that what is cached for ever can change with the next one."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("headlight")
except PackageNotFoundError:  # a checkout that nobody installed
    VERSION = "0"
