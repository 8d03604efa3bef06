"""Command line, events, worker process."""
