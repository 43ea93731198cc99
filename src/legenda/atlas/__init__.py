"""The atlas: units, what is known of them, and how far to trust it, on disk."""
