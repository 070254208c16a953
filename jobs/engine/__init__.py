"""What all jobs share: the contract, execution, locks, signals, logs, and the runners of the chain."""
