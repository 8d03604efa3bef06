"""What to label next: uncertainty, scores, proposals, and advice."""
