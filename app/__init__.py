"""Headlight: see attention."""
