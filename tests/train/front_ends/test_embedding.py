"""The table of each byte's place."""

import pytest

from tests.train.front_ends.images import encrypted, likeness, output_of, photographs


@pytest.mark.parametrize(
    ("cipher", "front_end"),
    [
        ("pbe", "embedding"),
        ("cpbe-100", "embedding"),
        ("lpe-100", "dechain+embedding"),
        ("lpe-50", "dechain+embedding"),
    ],
)
def test_ciphertexts_alone_tell_the_embedding_what_bytes_stand_for(cipher, front_end):
    images = photographs(8000, 0)
    ciphertexts, encryption = encrypted(cipher, images)
    before, after = output_of(front_end, ciphertexts, encryption)
    assert after.shape == images.shape
    assert abs(after).max() <= 1
    assert likeness(before[..., -3:], images) < 0.6
    assert likeness(after, images) > 0.72
