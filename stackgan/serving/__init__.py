"""A web page and API that generate images from sentences, with the runs of a volume."""
