"""Which control without a key beats a scheme: known answers."""

from lpe.pipeline.compare.dominance import Accuracy, Control, better

THOUSANDS = 10_000
"""Test images: two accuracies of about 50 % differ by chance by 1.4 points."""


def accuracy(percent):
    return Accuracy(percent / 100, 0.0, 1)


def control(title, percent, given_away):
    return Control(title, accuracy(percent), given_away)


def found(percent, given_away, *controls):
    return str(better(accuracy(percent), given_away, controls, THOUSANDS))


def test_a_control_beats_what_is_less_accurate_and_gives_away_as_much():
    thumbnail = control("thumbnail=8", 55, 20.9)
    assert found(50, 48, thumbnail) == "thumbnail=8"
    assert found(50, 20.9, thumbnail) == "thumbnail=8"  # no more than the scheme
    assert found(50, 20.8, thumbnail) == "None"
    assert found(57, 48, thumbnail) == "None"


def test_a_difference_within_its_noise_counts_for_as_accurate_and_is_marked():
    thumbnail = control("thumbnail=8", 55, 20.9)
    assert found(54.5, 48, thumbnail) == "thumbnail=8 (≈)"
    assert found(56, 48, thumbnail) == "thumbnail=8 (≈)"
    result = better(accuracy(56), 48, [thumbnail], THOUSANDS)
    assert result.to_json() == {"control": "thumbnail=8", "points": -1.0, "noise": 1.406}


def test_the_clearly_more_accurate_is_named_first_then_the_one_that_gives_away_least():
    controls = [control("a", 60, 40), control("b", 58, 30), control("c", 50.5, 15), control("d", 49.5, 10)]
    assert found(50, 48, *controls) == "b"
    assert found(50, 29, *controls) == "c (≈)"
    assert found(50, 14, *controls) == "d (≈)"
    assert found(50, 9, *controls) == "None"
    assert found(50, 48) == "None"
