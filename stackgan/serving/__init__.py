"""A page and an API that draw what a visitor types, from the runs of a volume."""
