"""The study folder: cases, label revisions, rounds (no torch)."""
