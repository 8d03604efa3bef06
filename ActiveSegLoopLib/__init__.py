"""ActiveSegLoop: train a segmentation model of your own while labeling as little as possible."""

__version__ = "0.1.0"
