"""The release of a data key to a program that proves what it is, and where, by a token of an attestation service.

The owner writes a policy and makes an offer; the program, in a confidential machine, makes a key pair, has the service
sign that it did, and asks; the owner checks the token offline and encrypts the data key to that key pair.

policy.ReleasePolicy       what a program and its machine must be; a TOML file bound to a dataset
offer.Offer                the owner's challenge: dataset, policy, nonce, expiry, and who a model is encrypted to
request.Request            the program's answer: its public key and the token
token.evidence             a token checked: signature, issuer, audience, time
services/                  what each attestation service's token says, as Evidence
release.decide             request and policy -> the release, or an error that says why not
released_key.ReleasedKey   the data key, in the memory of the program that it was released to
sealed_model               the trained model, encrypted to the owner
"""

SEALED_MODEL = ".sealed"
"""How the name of a file with a sealed model ends."""
