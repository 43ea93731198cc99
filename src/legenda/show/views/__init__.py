"""Views of an atlas: each reads it into one plain dict, which one template shows."""
