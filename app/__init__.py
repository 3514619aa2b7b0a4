"""The web application: translates between HTTP and the engine, computes nothing."""

from engine.version import VERSION

__all__ = ["VERSION"]
