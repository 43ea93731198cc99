"""Truth: what the methods find where the right answer is known."""
