"""Checkpoints of the public codes, read into ours and written from them."""
