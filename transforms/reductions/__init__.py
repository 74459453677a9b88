"""Reductions: what is taken from images before they are encrypted, and cannot be had back; needs NumPy alone.

    from lpe.transforms import reductions
    chain = reductions.parse("thumbnail=16,noise=32")
    reduced = chain.apply(images, secret)      # uint8 [N, H, W, C] -> uint8 [N, 16, 16, C]

    reduction        what is left
    thumbnail=SIDE   box means, SIDE the longer side in pixels
    blur=SIGMA       a Gaussian mean over each pixel's neighbours, SIGMA in pixels
    noise=SD         the image and Gaussian noise of standard deviation SD, of 255
    bits=N           the top N bits of each byte
    grey             luma, one channel
    learned:DIR      what an encoder that the owner fitted keeps for the labels

With the cipher `plain` a reduction is the control without a key that every scheme has to beat.
"""

from lpe.transforms.reductions.base import Reduction
from lpe.transforms.reductions.chain import Chain, names, parse

__all__ = ["Chain", "Reduction", "names", "parse"]
