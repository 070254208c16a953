"""What all jobs share: contract, execution, locks, signals, logs, and the runners of the chain."""
