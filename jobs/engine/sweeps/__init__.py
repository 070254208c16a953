"""Sweeps: one chain of jobs for each of several configurations, which share what is equal."""
