"""Drawn sprites whose every factor is known."""
