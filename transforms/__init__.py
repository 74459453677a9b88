"""What happens to pixels: ciphers, attacks, measures, augmentation."""
