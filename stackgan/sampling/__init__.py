"""Captions or embeddings -> images and grids."""
