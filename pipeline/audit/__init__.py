"""Attacks on a dataset's encryption, how much they restore, and the report of both."""
