"""Who needs which key: what is recorded, asked, and forgotten when it is gone."""

from __future__ import annotations

from collections.abc import Mapping

from lpe.pipeline import storage
from lpe.pipeline.keystore.auditlog import AuditLog
from lpe.pipeline.keystore.files import KeysetFiles
from lpe.pipeline.keystore.metadata import Metadata
from lpe.pipeline.keystore.uses import Use, uses, versions_under


class Registry(KeysetFiles):
    """The dataset versions and training runs that need the keys of a key store."""

    def record_dataset(self, name: str, key_id: int, directory: str) -> None:
        """Remembers, before it is written, that the dataset version in `directory` needs this key.

        Raises KeyStoreError if the key was disabled or destroyed meanwhile.
        """
        place = storage.absolute(directory)
        with self.changing(name) as change:
            self.check_enabled(change.keyset, name, key_id)
            record = change.meta.key(key_id)
            if place not in record.datasets:
                record.datasets.append(place)
                record.used = True
                change.meta.write(self.meta_path(name))

    def register_run(self, name: str, key_id: int, directory: str, salt: str) -> None:
        """Remembers that the model of a training run needs this key.

        Args:
          directory: the run's.
          salt: of the dataset that it learned from.
        """
        with self.changing(name) as change:
            self.check_enabled(change.keyset, name, key_id)
            runs = change.meta.key(key_id).runs
            if runs.get(storage.absolute(directory)) != salt:
                runs[storage.absolute(directory)] = salt
                self.log_event(change, "run registered", key=key_id, run=storage.absolute(directory))

    def release(self, name: str, place: str) -> bool:
        """Forgets a dataset version or run that is gone or needs its key no more; whether it was known."""
        gone = storage.absolute(place)
        with self.changing(name) as change:
            released = _forget(change.meta, gone)
            for key_id in released:
                self.log_event(change, "released", key=key_id, place=gone)
        return bool(released)

    def uses(self, name: str, roots: list[str]) -> dict[int, list[Use]]:
        """What needs each key: what is recorded, and the datasets found directly below `roots`."""
        found = {key_id: uses(key_id, record) for key_id, record in self.metadata(name).keys.items()}
        for root in roots:
            for key_id, versions in versions_under(root, name).items():
                known = {use.place for use in found.setdefault(key_id, [])}
                found[key_id] += [Use("dataset", place, True) for place in versions if place not in known]
        return found

    def stale_runs(self, name: str, salt: str) -> list[str]:
        """The registered runs, still there, that learned from the dataset version with this salt."""
        return [
            use.place
            for key_id, record in self.metadata(name).keys.items()
            for use in uses(key_id, record)
            if use.kind == "run" and use.found and record.runs[use.place] == salt
        ]

    def log(self, name: str, event: str, **details: object) -> None:
        """Writes a line about a dataset to the audit log, unless the same is there already."""
        if not _logged(self.audit_file(name), event, details):
            with self.changing(name) as change:
                if not _logged(change.log, event, details):
                    self.log_event(change, event, **details)

    def forget_versions(self, name: str, home: str, kept: dict[str, int]) -> None:
        """Forgets, and logs as deleted, the versions of a dataset that are gone.

        Args:
          home: the dataset's home; the caller holds its lock.
          kept: the versions that are there, and the key that each is under.
        """
        place = storage.absolute(home)
        here = {storage.join(place, version): key_id for version, key_id in kept.items()}
        recorded = self.metadata(name).keys
        gone = {
            key_id: [p for p in record.datasets if storage.parent(p) == place and here.get(p) != key_id]
            for key_id, record in recorded.items()
        }
        if not any(gone.values()):
            return
        with self.changing(name) as change:
            for key_id, versions in gone.items():
                record = change.meta.key(key_id)
                record.datasets = [p for p in record.datasets if p not in versions]
                for version in versions:
                    details = {"dataset": version, "key": key_id}
                    # One that is there under another key was begun under this one and never finished.
                    if version not in here and not _logged(change.log, "version deleted", details):
                        self.log_event(change, "version deleted", **details)
            change.meta.write(self.meta_path(name))


def _logged(log: AuditLog, event: str, details: Mapping[str, object]) -> bool:
    return any({"event": event, **details}.items() <= line.items() for line in log.events)


def _forget(meta: Metadata, place: str) -> list[int]:
    """Drops a dataset version or run; the ids of the keys that it was recorded under."""
    released = []
    for key_id, record in meta.keys.items():
        if place in record.datasets or place in record.runs:
            record.datasets = [known for known in record.datasets if known != place]
            record.runs.pop(place, None)
            released.append(key_id)
    return released
