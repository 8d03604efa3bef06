"""The report of a study: a page that stands alone, and every number as CSV and JSON (no torch)."""
