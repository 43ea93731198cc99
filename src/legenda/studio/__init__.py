"""The studio: the pages of an atlas from a local server, and work on its models while one looks."""
