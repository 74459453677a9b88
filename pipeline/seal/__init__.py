"""The seal around a dataset's images: AES-256-GCM under a data key, which opens that and is of no use against a cipher.

spec.SealSpec                            what a dataset says of its seal
data_key.DataKey, load_data_key(path)    the key itself; imports Tink
opening.seal_opener(dataset, path)       the images within, batch by batch, in memory
"""
