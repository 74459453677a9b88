"""Checks of a local folder for datasets: what jobs do there, done once on a small file, and free space."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from lpe.pipeline import storage
from lpe.pipeline.jobs.doctor.check import Check, failed, fault
from lpe.pipeline.jobs.doctor.machine import check_disk
from lpe.pipeline.storage import locks
from lpe.transforms.errors import LpeError

_CONTENT = b"lpe doctor\n"


def check_folder(path: str) -> list[Check]:
    """Checks that files can be locked, written, synced, renamed, read and deleted there, and that there is space.

    Args:
      path: a folder; where it is not there yet, the one that it would be made in is looked at.
    """
    place = next(
        folder for folder in (Path(path).absolute(), *Path(path).absolute().parents) if folder.exists()
    )
    if not place.is_dir():
        return [fault("storage", f"{place}: a file stands where a folder is needed", "choose another place")]
    probe = storage.join(str(place), f".lpe-doctor-{secrets.token_hex(8)}")
    try:
        with locks.held(f"{probe}.lock", str(place), remove=True):
            storage.write_atomic(probe, _CONTENT)
            read = storage.read_bytes(probe)
        storage.delete(probe)
    except OSError as error:
        return [failed("storage", OSError(error.errno, error.strerror, str(place)))]
    except LpeError as error:
        return [failed("storage", error)]
    finally:
        with contextlib.suppress(OSError):
            storage.delete(probe)
    if read != _CONTENT:
        return [fault("storage", f"{place}: a file is read otherwise than written", "choose another disk")]
    where = f"{place}" if place == Path(path).absolute() else f"{place}, where {path} would be made"
    checked = Check("storage", "ok", f"{where}: lock, write, rename, read and delete work")
    return [checked, check_disk("disk", str(place), "free some space there or choose another place")]
