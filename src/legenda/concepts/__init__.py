"""Concept models: classifiers that read units, and say which concept an image holds."""
