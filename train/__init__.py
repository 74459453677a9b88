"""Keras models trained on encrypted shards; imports nothing that can decrypt.

After `import lpe.train`, `keras.models.load_model("RUN/model.keras")` knows the layers of this package.
"""

from lpe.train.registering import register_with_keras

register_with_keras()
