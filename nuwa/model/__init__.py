"""Encoder and decoder over grids of tokens."""
