"""Captions or embeddings -> pictures and grids."""
