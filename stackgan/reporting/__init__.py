"""A page of HTML that shows what a run has made."""
