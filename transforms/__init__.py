"""Transformations of images: ciphers, the attacks on them, measures and augmentation."""
