"""Phantom, oracle and experiments."""
