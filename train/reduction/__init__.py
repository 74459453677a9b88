"""Fitting a learned reduction: an encoder that keeps of an image what its label needs.

spec.py        what to fit
examples.py    images and labels, shrunk as the encoder shrinks them
network.py     encoder, head and decoder, in Keras
adversary.py   the decoder's part in the loss
fitting.py     all of it
quantising.py  the fitted network as an encoder in whole numbers
measuring.py   what its owner should know: accuracy, and what a decoder restores
"""
