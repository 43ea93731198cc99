"""Legenda writes the legend of a trained vision model."""
