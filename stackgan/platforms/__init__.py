"""Where a graph runs: devices, threads, precision. Nothing else in the library knows."""
