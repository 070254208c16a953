"""The batch jobs: one thin module each. They exchange files alone (see `jobs.engine.contract`)."""
