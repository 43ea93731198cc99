"""Measurements, each a named row: `make bench ROW=…` for speed, `make truth ROW=…` for truth."""
