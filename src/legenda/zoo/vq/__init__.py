"""A small vector-quantised generative model of photographs and of close-ups of scenes."""
