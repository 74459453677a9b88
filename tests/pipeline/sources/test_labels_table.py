"""--labels: the labels of a folder's images from a table."""

from __future__ import annotations

import pandas as pd
import pytest

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.folder import FolderSource
from lpe.pipeline.sources.limits import Limits
from lpe.transforms.errors import DataError
from tests.pipeline.sources import images
from tests.pipeline.sources.reading import everything

IMAGES = {f"{i}.png": images.encoded(images.pixels(i)) for i in range(12)}
ROWS = [(f"{i}.png", f"c{i % 3}") for i in range(12)]


def csv(rows, header="path,label") -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


@pytest.fixture
def folder(tmp_path):
    return images.write(tmp_path / "d", IMAGES)


def opened(folder, tmp_path, text: str | bytes, **more) -> FolderSource:
    table = tmp_path / "labels.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    return FolderSource(str(folder), ReadOptions(labels=str(table), **more))


@pytest.mark.parametrize(
    "text",
    [
        csv(ROWS),
        "\ufeff" + csv(ROWS),
        csv(ROWS).replace("\n", "\r\n"),
        csv(ROWS, "Filename,Class"),
        csv(ROWS, "file_name,label").replace(",", ";"),
        csv([(i, f"./{name}", 7, label) for i, (name, label) in enumerate(ROWS)], ",image,age,label"),
        csv([(f'"{name}"', f'"{label}"') for name, label in ROWS], "file,label"),
    ],
    ids=["plain", "mark", "crlf", "names", "semicolons", "more", "quotes"],
)
def test_a_csv_as_tools_write_it(folder, tmp_path, text):
    source = opened(folder, tmp_path, text)
    assert source.info.class_names == ("c0", "c1", "c2")
    assert source.info.notes == ()
    got = everything(source, "train")
    assert dict(zip(got.names, got.labels.tolist(), strict=True)) == {f"{i}.png": i % 3 for i in range(12)}


@pytest.mark.parametrize("wrap", ["", "pets/", "a/images/"])
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_splits_and_numbers_in_parquet_beside_the_images(tmp_path, wrap, form):
    files = {wrap + name: data for name, data in IMAGES.items()}
    files |= {f"{wrap}more.png": b"x", f"{wrap}.DS_Store": b"x", "labels.txt": b"x"}
    path = images.write(tmp_path / "d", files) if form == "folder" else images.pack(files, tmp_path / "d.zip")
    table = tmp_path / "t.parquet"
    splits = ["train", "VAL", "testing"] * 4
    labels = [10, 9, 9, 100] * 3
    pd.DataFrame({"label": labels, "split": splits, "image": list(IMAGES), "x": 0.5}).to_parquet(table)
    with FolderSource(str(path), ReadOptions(labels=str(table))) as source:
        assert source.info.class_names == ("9", "10", "100")
        assert dict(source.info.splits) == {"train": 4, "validation": 4, "test": 4}
        assert {
            note.partition(":")[0].split(",")[0]: note.partition(": ")[2][:1] for note in source.info.notes
        } == {
            "hidden files passed over": "1",
            "images that the table of labels does not name": "1",
            "files that are no images and that the table of labels does not name": "1",
        }
        got = everything(source, "validation")
        assert {name.removeprefix(wrap) for name in got.names} == {f"{i}.png" for i in (1, 4, 7, 10)}


def test_directories_that_are_splits_are_that_in_a_table_without_splits(tmp_path):
    files = {f"{split}/x/{name}": data for split in ("train", "dev") for name, data in IMAGES.items()}
    source = opened(images.write(tmp_path / "d", files), tmp_path, csv([(name, 1) for name in files]))
    assert dict(source.info.splits) == {"train": 12, "validation": 12}


def test_the_table_is_part_of_the_digest(folder, tmp_path):
    for digest in ("contents", "names-and-sizes"):
        digests = {
            opened(folder, tmp_path, csv(rows), digest=digest).digest()
            for rows in (ROWS, ROWS[::-1], ROWS[1:])
        }
        assert len(digests) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            csv([*ROWS, ("x/y.png", "c0"), ("z.png", "c0")]),
            r"2 of its 14 files are not in .*d, the first is x/y\.png",
        ),
        (csv([*ROWS, ROWS[3]]), r"labels\.csv: '3\.png' is in it more than once"),
        (csv([*ROWS, ("3.png", "c9")]), "'3.png' is in it more than once"),
        (csv(ROWS, "a,b"), r"0 columns called path or file .* among a, b"),
        (csv(ROWS, "path,file"), "2 columns called path or file"),
        (csv([*ROWS, ("11.png", "")]), r"row 14: nothing as 'label', not texts"),
        (csv([*ROWS, ("11.png",)]), r"row 14: nothing as 'label'"),
        (
            csv([("0.png", "a", "holdout")], "path,label,split"),
            "no split is called 'holdout'; there are train",
        ),
        (csv([("0.png", "cat"), ("1.png", "Cat")]), "'Cat' and 'cat' differ in upper and lower case"),
        (csv([("0.png", "c\x1bat")]), r"'c\\x1bat' is too long or has control characters"),
        ("path,label\n", "no rows"),
        ("", "0 columns"),
        (csv(ROWS).encode("utf-16"), "no CSV in UTF-8|0 columns"),
        (b"path,label\n0.png,caf\xe9\n", "no CSV in UTF-8"),
        ('path,label\n0.png,"a\n', "no CSV in UTF-8"),
        ("path,label\n" + "x" * (1 << 20) + ",a\n", "a line of more than"),
    ],
)
def test_what_is_wrong_is_said(folder, tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        opened(folder, tmp_path, text)
    assert "\n" not in str(caught.value)


def test_rows_have_a_limit_and_other_files_are_refused(folder, tmp_path):
    with pytest.raises(DataError, match="more than 11 rows; raise that with lpe ingest --max-members"):
        opened(folder, tmp_path, csv(ROWS), limits=Limits(members=11))
    for name, message in (("no.csv", "no such file"), ("l.txt", r"ends in \.csv or \.parquet")):
        with pytest.raises(DataError, match=message):
            FolderSource(str(folder), ReadOptions(labels=str(tmp_path / name)))


def test_damaged_parquet_is_one_line(folder, tmp_path):
    table = tmp_path / "t.parquet"
    pd.DataFrame({"path": list(IMAGES), "label": ["a"] * 12}).to_parquet(table)
    data = table.read_bytes()
    for at in range(0, len(data), 7):
        table.write_bytes(data[:at] + bytes([data[at] ^ 0x24]) + data[at + 1 :])
        try:
            FolderSource(str(folder), ReadOptions(labels=str(table)))
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017
    for labels in ([0.5] * 12, [None] * 12, [b"a"] * 12, [["a"]] * 12, [True] * 12):
        pd.DataFrame({"path": list(IMAGES), "label": labels}).to_parquet(table)
        with pytest.raises(DataError, match="not texts or whole numbers; mend the table"):
            FolderSource(str(folder), ReadOptions(labels=str(table)))


def test_on_the_command_line(folder, tmp_path, lpe):
    (tmp_path / "labels.csv").write_text(csv(ROWS[:9]))
    command = ("ingest", "--output", tmp_path / "plain" / "d", "--labels", tmp_path / "labels.csv")
    done = lpe(*command, "--source", f"folder:{folder}", "--json").json
    assert done["splits"]["train"]["examples"] == 9
    assert done["notes"] == [
        "images that the table of labels does not name, passed over: 3 (the first is 10.png)"
    ]
    refused = lpe(*command, "--source", "synthetic:100")
    assert refused.code == 2
    assert "--labels goes with folder: alone" in " ".join(refused.err.split())
