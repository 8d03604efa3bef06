"""Volumes in and out, geometry, resampling and regions of interest (no torch)."""
