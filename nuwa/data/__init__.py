"""Captions, pictures and clips."""
