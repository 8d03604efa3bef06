"""Networks, the cascade, training, prediction and model files."""
