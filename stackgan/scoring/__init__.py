"""Pictures -> features -> numbers that say how good generated pictures are."""
