"""Generators and discriminators of both stages, and the layers they are made of."""
