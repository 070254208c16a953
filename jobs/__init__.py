"""The batch jobs: one thin module each, and the contract by which they meet through files."""
