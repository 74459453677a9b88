"""What a dataset says of its encryption, and the batch transforms that do it."""
