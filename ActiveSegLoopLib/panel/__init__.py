"""The window in Slicer: one file per section, thin, no torch; runs in Slicer's own process."""
