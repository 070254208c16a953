"""From captions or embeddings to images and grids."""
