"""Audits: which group a generator leans to, and which tokens a classifier takes a shortcut by."""
