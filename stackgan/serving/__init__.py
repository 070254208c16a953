"""A page and an API that generate what a visitor types, from the runs of a volume."""
