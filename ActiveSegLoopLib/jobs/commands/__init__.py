"""One file per command: its SUMMARY, its add_arguments(parser) and its run(options, job)."""
