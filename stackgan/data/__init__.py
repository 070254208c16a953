"""Datasets on disk -> prepared arrays -> batches."""
