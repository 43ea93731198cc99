"""What can be measured in a picture: position, size, colour, and the like."""
