"""`lpe encrypt --augment`: copies as further splits, through every job, and one copy an epoch in training."""

import numpy as np
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.inputs import training_input
from tests.pipeline.running import contents, encrypt, refused

WORDS = ("--augment", "flip,crop", "--copies", 2)


@pytest.fixture
def augmented(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    done = encrypt(lpe, keystore, f"dataset:{plain}", home, *WORDS)
    assert done.code == 0, done.err
    return home


def test_copies_are_splits_with_ids_of_their_own(lpe, keystore, plain, augmented):
    data = open_dataset(str(augmented))
    assert data.copies("train") == ("train_augmented_1", "train_augmented_2")
    assert {name: split.examples for name, split in data.splits.items()} == {
        "train": 100,
        "test": 20,
        "train_augmented_1": 100,
        "train_augmented_2": 100,
    }
    assert len(contents(augmented)) == 320  # which checks that ids occur once
    again = encrypt(lpe, keystore, f"dataset:{plain}", augmented, *WORDS)
    assert again.json["status"] == "skipped"
    other = encrypt(lpe, keystore, f"dataset:{plain}", augmented, "--augment", "flip")
    assert other.json["dataset"].endswith("1.0.1")


def test_the_summary_states_the_cost(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    done = lpe(
        "encrypt",
        "--source",
        f"dataset:{plain}",
        "--output",
        home,
        "--keystore",
        keystore,
        "--key",
        "patients",
        *WORDS,
    )
    one = open_dataset(str(home)).splits["train_augmented_1"].num_bytes / 1e6
    assert f"2 × {one:.1f} MB = {2 * one:.1f} MB more" in " ".join(done.out.split())


def test_copies_decrypt_to_what_the_owner_augmented(lpe, keystore, plain, augmented, tmp_path):
    words = ("verify", augmented, "--keystore", keystore, "--json")
    assert lpe(*words, "--against", f"dataset:{plain}").json["ok"]
    assert lpe("reencrypt", augmented, "--keystore", keystore, "--cipher", "pbe", "--json").code == 0
    assert open_dataset(str(augmented)).copies("train") == ("train_augmented_1", "train_augmented_2")
    assert lpe(*words, "--against", f"dataset:{plain}").json["ok"]
    back = tmp_path / "back" / "shapes"
    decrypted = lpe(
        "decrypt", "--source", f"dataset:{augmented}", "--output", back, "--keystore", keystore, "--json"
    )
    assert decrypted.code == 0
    assert open_dataset(str(back)).copies("train") == ("train_augmented_1", "train_augmented_2")
    restored, true = contents(back), contents(plain)
    assert all(restored[name] == true[name] for name in true)
    # Some copy differs from its image, and all keep its label.
    copies = {name: value for name, value in restored.items() if "augmented" in name}
    originals = {name: true[name.split("-augmented")[0]] for name in copies}
    assert any(copies[name][0] != originals[name][0] for name in copies)
    assert all(copies[name][1] == originals[name][1] for name in copies)


def test_training_walks_one_copy_an_epoch_and_holds_out_all_copies(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    # With a key for each image no two ciphertexts are alike, even of copies that are.
    assert encrypt(lpe, keystore, f"dataset:{plain}", home, *WORDS, "--scope", "image").code == 0
    data = open_dataset(str(home))
    by_image = {image: name for name, (image, _) in contents(home).items()}
    source = training_input(ShardFiles(data), batch_size=9, seed=0, validation_fraction=0.1)

    def ids(examples, epoch):
        batches = [examples.batch(epoch, i)[0] for i in range(examples.steps)]
        return {by_image[image.tobytes()] for image in np.concatenate(batches)}

    held_out = ids(source.validation, 0)
    assert held_out
    assert all("augmented" not in name for name in held_out)
    for epoch, ending in ((0, ""), (1, "-augmented-1"), (2, "-augmented-2"), (3, "")):
        found = ids(source.train, epoch)
        assert found
        assert not {name.removesuffix(ending) for name in found} & held_out
        assert all(name.endswith(ending) and name.count("augmented") == bool(ending) for name in found)


def test_nonsense_is_refused(lpe, keystore, plain, augmented, tmp_path):
    new = tmp_path / "new" / "shapes"
    words = ("encrypt", "--output", new, "--keystore", keystore, "--key", "patients", "--source")
    refused(lpe(*words, f"dataset:{plain}", "--copies", 2), "--copies goes with --augment", code=2)
    refused(lpe(*words, f"dataset:{plain}", "--augment", "turn"), "flip, crop", code=2)
    back = tmp_path / "back" / "shapes"
    assert (
        lpe("decrypt", "--source", f"dataset:{augmented}", "--output", back, "--keystore", keystore).code == 0
    )
    refused(lpe(*words, f"dataset:{back}", *WORDS), "has augmented copies already", code=2)
