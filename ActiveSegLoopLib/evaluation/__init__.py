"""Overlap metrics and pictures (no torch)."""
