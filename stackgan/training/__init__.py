"""Everything that trains: the loop, and the networks it trains."""
