"""What units are good for: to edit pictures, to lay out cards of tokens, to compare groups."""
