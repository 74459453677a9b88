"""The reader of training images: shards as batches, in an order that follows from a seed. Imports no Keras."""
