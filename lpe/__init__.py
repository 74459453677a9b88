"""Learnable pixel-based encryption for image datasets."""
