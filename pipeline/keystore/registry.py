"""The registry of what needs which key: recorded, asked for, and forgotten when it is gone."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Collection, Mapping, Sequence

from lpe.pipeline import clock, storage
from lpe.pipeline.keystore.auditlog import AuditLog
from lpe.pipeline.keystore.files import KeysetFiles
from lpe.pipeline.keystore.given_numbers import NUMBERS_GIVEN, Claim, Conflict, settle
from lpe.pipeline.keystore.metadata import Metadata
from lpe.pipeline.keystore.uses import Use, uses, versions_under
from lpe.pipeline.storage.documents import is_plain_text
from lpe.transforms.errors import KeyStoreError

RETIRED = "version retired"
"""The event that a newer version has replaced a dataset version."""
REGISTERED = "run registered"
"""The event that the model of a training run was said to need a key."""


class Registry:
    """The dataset versions and training runs that need the keys of a key store.

    All methods raise KeyStoreError, whose message says what is wrong with which file, and those that change
    something BusyError if another process holds the store for too long. They are safe to call from several
    processes and threads: each reads the files anew.

    Args:
      uri: the key store.
    """

    def __init__(self, uri: str) -> None:
        self._files = KeysetFiles(uri)

    def metadata(self, name: str) -> Metadata:
        """What is recorded of a keyset and its keys; needs no key-encryption key."""
        return self._files.metadata(name)

    def record_dataset(self, name: str, key_id: int, directory: str) -> None:
        """Remembers, before it is written, that a dataset version needs a key.

        Args:
          name: the keyset.
          key_id: the key.
          directory: the version's.

        Raises:
          KeyStoreError: the key was disabled or destroyed meanwhile.
        """
        version = _place(directory)
        with self._files.changing(name) as change:
            change.check_enabled(key_id)
            record = change.meta.key(key_id)
            if version not in record.datasets:
                record.datasets.append(version)
                record.used = True
                self._files.write_metadata(change)

    def give_numbers(self, name: str, key_id: int, salt: str, claims: Sequence[Claim]) -> list[Claim]:
        """Gives the images of a job numbers that no other ones have had under a key and a salt, and logs them.

        The same images are given the same numbers again.

        Args:
          name: the keyset.
          key_id: the key.
          salt: of the dataset that the images are added to.
          claims: what is wanted, one for each split.

        Returns:
          What is given.

        Raises:
          KeyStoreError: the key cannot be used, other images have had numbers that are fixed, or nobody can tell.
        """
        given = []
        with self._files.changing(name) as change:
            change.check_enabled(key_id)
            problems = change.log.problems(change.meta.log)
            if problems:
                raise KeyStoreError(
                    f"{problems[0]}; nobody can tell which numbers were given: restore the key store from a copy"
                )
            for claim in claims:
                settled = settle(claim, change.log.events, salt)
                if isinstance(settled, Conflict):
                    raise KeyStoreError(
                        f"{claim.split}: other images have had the numbers {settled.first} to {settled.after - 1} "
                        "under this key and salt; rotate the key and re-encrypt the dataset, and append then"
                    )
                wanted, logged = settled
                if not logged:
                    self._files.log_event(
                        change,
                        NUMBERS_GIVEN,
                        key=key_id,
                        salt=salt,
                        split=wanted.split,
                        first=wanted.first,
                        after=wanted.after,
                        parts=len(wanted.images),
                        images=wanted.images[-1],
                    )
                given.append(wanted)
        return given

    def register_run(self, name: str, key_id: int, directory: str, salt: str) -> None:
        """Remembers, and logs, that the model of a training run needs a key.

        Args:
          name: the keyset.
          key_id: the key.
          directory: the run's.
          salt: of the dataset that it learned from.

        Raises:
          KeyStoreError: the key is not there or not enabled.
        """
        run = _place(directory)
        with self._files.changing(name) as change:
            change.check_enabled(key_id)
            runs = change.meta.key(key_id).runs
            if runs.get(run) != salt:
                runs[run] = salt
                self._files.log_event(change, REGISTERED, key=key_id, run=run)

    def forget(self, name: str, place: str) -> bool:
        """Forgets, and logs as forgotten, a dataset version or run that is gone or needs its key no more.

        Args:
          name: the keyset.
          place: the directory of the version or the run.

        Returns:
          Whether it was recorded.
        """
        forgotten_place = storage.absolute(place)
        with self._files.changing(name) as change:
            forgotten = _forget(change.meta, forgotten_place)
            for key_id in forgotten:
                self._files.log_event(change, "forgotten", key=key_id, place=forgotten_place)
        return bool(forgotten)

    def uses(self, name: str, roots: list[str]) -> dict[int, list[Use]]:
        """What needs each key.

        Args:
          name: the keyset.
          roots: directories of dataset homes, in which to look for datasets that are not recorded.

        Returns:
          By key id: what is recorded, then what was found below the roots besides.
        """
        by_key = {key_id: uses(record) for key_id, record in self.metadata(name).keys.items()}
        for root in roots:
            for key_id, versions in versions_under(root, name).items():
                known = {use.place for use in by_key.setdefault(key_id, [])}
                by_key[key_id] += [Use("dataset", place, True) for place in versions if place not in known]
        return by_key

    def lost_with(self, name: str) -> dict[int, list[Use]]:
        """What could not be read, or would predict no more, without each key: its uses, and runs since forgotten.

        Args:
          name: the keyset.

        Returns:
          By key id; a model that was never registered is nowhere recorded.
        """
        lost = self.uses(name, [])
        for event in self._files.audit_log(name).events:
            key_id, run = event.get("key"), event.get("run")
            if event["event"] == REGISTERED and isinstance(key_id, int) and isinstance(run, str):
                known = lost.setdefault(key_id, [])
                if run not in {use.place for use in known}:
                    known.append(Use.of_run(run))
        return lost

    def stale_runs(self, name: str, salt: str) -> list[str]:
        """The registered runs, still there, that learned from the dataset version with this salt."""
        return [
            use.place
            for record in self.metadata(name).keys.values()
            for use in uses(record)
            if use.kind == "run" and use.found and record.runs[use.place] == salt
        ]

    def log(self, name: str, event: str, **details: object) -> None:
        """Writes a line about a dataset to the audit log, unless the same is there already.

        Args:
          name: the keyset.
          event: what happened.
          **details: to what; JSON values.
        """
        log = self._files.audit_log(name)
        if _is_logged(log, event, details) and self._files.metadata(name).log == log.head:
            return
        with self._files.changing(name) as change:
            if not _is_logged(change.log, event, details):
                self._files.log_event(change, event, **details)
            elif change.meta.log != change.log.head:  # a kill came between the two
                change.meta.log = change.log.head
                self._files.write_metadata(change)

    def log_bounded(self, name: str, event: str, most: int, **details: object) -> None:
        """Writes a line to the audit log, even if the same is there already, unless the day has had so many.

        Args:
          name: the keyset.
          event: what happened.
          most: how many lines on this event there may be of the last 24 hours.
          **details: to what; JSON values.
        """
        with self._files.changing(name) as change:
            since = (clock.now() - datetime.timedelta(days=1)).isoformat()
            of_day = [line for line in change.log.events if line["event"] == event and line["time"] > since]
            if len(of_day) < most:
                self._files.log_event(change, event, **details)

    def log_once(self, name: str, event: str, once: Mapping[str, str], **details: object) -> bool:
        """Writes a line to the audit log, unless the event was logged with the same value before.

        Args:
          name: the keyset.
          event: what happens.
          once: one detail, by name, that no other line on this event has.
          **details: to what; JSON values.

        Returns:
          Whether it is the first time.

        Raises:
          KeyStoreError: the log was changed or cut, so that nobody can tell.
        """
        with self._files.changing(name) as change:
            problems = change.log.problems(change.meta.log)
            if problems:
                raise KeyStoreError(
                    f"{problems[0]}; nobody can tell what was released: restore the key store from a copy"
                )
            if _is_logged(change.log, event, once):
                return False
            self._files.log_event(change, event, **once, **details)
        return True

    def retired(self, name: str) -> dict[str, datetime.datetime]:
        """When each dataset version, by its directory, was retired: what the log says, and not the version itself."""
        retired = {}
        for event in self._files.audit_log(name).events:
            if event["event"] == RETIRED:
                with contextlib.suppress(ValueError):  # a damaged line retires nothing
                    retired[str(event.get("dataset"))] = clock.parse_stamp(event["time"])
        return retired

    def forget_versions(
        self, name: str, home: str, kept: Mapping[str, int | None], expired: Collection[str]
    ) -> None:
        """Forgets, and logs as deleted, the versions of a dataset that are gone.

        One that is gone and has not expired may have been deleted by somebody else, and there may be a copy: it
        counts as needed until `forget` says that it is gone.

        Args:
          name: the keyset.
          home: the dataset's home; the caller holds its lock.
          kept: the versions that are there, and the key that each is under; None where that cannot be told.
          expired: directories of the versions whose time to be deleted has come.
        """
        absolute_home = storage.absolute(home)
        existing = {storage.join(absolute_home, version): key_id for version, key_id in kept.items()}
        gone = {
            key_id: [
                version
                for version in record.datasets
                if storage.parent(version) == absolute_home
                and (existing[version] not in (None, key_id) if version in existing else version in expired)
            ]
            for key_id, record in self.metadata(name).keys.items()
        }
        if not any(gone.values()):
            return
        with self._files.changing(name) as change:
            for key_id, versions in gone.items():
                record = change.meta.key(key_id)
                record.datasets = [version for version in record.datasets if version not in versions]
                for version in versions:
                    details = {"dataset": version, "key": key_id}
                    # One that is there under another key was begun under this one and never finished.
                    if version not in existing and not _is_logged(change.log, "version deleted", details):
                        self._files.log_event(change, "version deleted", **details)
            self._files.write_metadata(change)


def _place(directory: str) -> str:
    """A directory as it is recorded. Raises KeyStoreError for one that a document or a message cannot hold."""
    place = storage.absolute(directory)
    if not is_plain_text(place):
        raise KeyStoreError(f"{place!a}: a key store cannot record a name with control characters; rename it")
    return place


def _is_logged(log: AuditLog, event: str, details: Mapping[str, object]) -> bool:
    return any({"event": event, **details}.items() <= line.items() for line in log.events)


def _forget(meta: Metadata, place: str) -> list[int]:
    """Drops a dataset version or run; the ids of the keys that it was recorded under."""
    forgotten = []
    for key_id, record in meta.keys.items():
        if place in record.datasets or place in record.runs:
            record.datasets = [version for version in record.datasets if version != place]
            record.runs.pop(place, None)
            forgotten.append(key_id)
    return forgotten
