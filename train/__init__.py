"""Keras models trained on encrypted shards; imports nothing that can decrypt."""
