"""Scheduled re-encryption: an owner's policy applied to datasets whose keys come of age.

For each dataset: rotate its keyset if the primary key has come of age, write the next version under the primary
key, mark the versions before it as retired, delete those retired long enough ago. Then destroy the keys that
nothing needs any more. Every step looks at what is there and can be killed: the next run does the rest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lpe.pipeline import clock, storage
from lpe.pipeline.dataset import Dataset, committed_versions, open_dataset, retirement
from lpe.pipeline.dataset.layout import INFO_FILE
from lpe.pipeline.dataset.retirement import OldVersion
from lpe.pipeline.dataset.writer import hold_home
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.jobs.reencrypt import changes_cipher, write_reencrypted
from lpe.pipeline.jobs.spec import CipherChange, JobResult, JobSpec
from lpe.pipeline.keystore import KeyRef, KeyStore, Registry
from lpe.pipeline.keystore.registry import RETIRED
from lpe.pipeline.sources.plan import ReadSpec
from lpe.transforms.errors import BusyError, DataError, KeyStoreError


@dataclasses.dataclass(frozen=True)
class Policy:
    """The owner's policy for re-encryption.

    Attributes:
      if_due: rotate where the keyset's period has passed; leave a dataset alone that another run holds.
      retire_after: delete versions that have been retired for so long; None deletes none.
      destroy_keys: destroy keys that nothing recorded needs any more.
      change: another cipher, parameters or scope.
    """

    if_due: bool = False
    retire_after: datetime.timedelta | None = None
    destroy_keys: bool = False
    change: CipherChange = dataclasses.field(default_factory=CipherChange)


@dataclasses.dataclass(frozen=True)
class DueActions:
    """The actions that a policy asks of one dataset now.

    Attributes:
      home: the dataset's.
      current: its newest version.
      encryption: how that is encrypted.
      rotate: whether the keyset is rotated first.
      reason: why the dataset is re-encrypted; None if it isn't.
      retire: versions to be marked as retired.
      delete: versions to be deleted.
    """

    home: str
    current: Dataset
    encryption: Encryption
    rotate: bool
    reason: str | None
    retire: tuple[OldVersion, ...]
    delete: tuple[OldVersion, ...]

    def to_json(self) -> dict[str, Any]:
        """The actions as `--dry-run` prints them; images and bytes are those to be re-encrypted."""
        due = self.reason is not None
        return {
            "dataset": self.current.directory,
            "key": {"name": self.encryption.key_name, "id": self.encryption.key_id},
            "rotate": self.rotate,
            "reencrypt": self.reason,
            "images": sum(split.examples for split in self.current.splits.values()) if due else 0,
            "bytes": self.current.num_bytes if due else 0,
            "retire": [old.directory for old in self.retire],
            "delete": [{"version": old.directory, "bytes": old.bytes} for old in self.delete],
        }


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a policy for one dataset.

    Attributes:
      result: its newest version, and whether this run wrote it.
      reason: why it was re-encrypted, or was left alone.
      rotated: the id of the new primary key, if there is one.
      retired, deleted: versions that were marked, that were deleted.
      stale_runs: registered training runs whose model does not fit the new version.
    """

    result: JobResult
    reason: str
    rotated: int | None = None
    retired: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    stale_runs: tuple[str, ...] = ()

    @property
    def key_name(self) -> str:
        """The dataset's keyset."""
        return str((self.result.dataset.encryption or {})["key"]["name"])

    def to_json(self) -> dict[str, Any]:
        """`reencrypt`'s part of `--json` for one dataset."""
        value = self.result.to_json()
        if self.rotated is not None or self.retired or self.deleted:
            value["status"] = "ok"
        return {
            **value,
            "reason": self.reason,
            "rotated": self.rotated,
            "retired": list(self.retired),
            "deleted": list(self.deleted),
            "stale_runs": list(self.stale_runs),
        }


def due_actions(home: str, keystore: str, policy: Policy) -> DueActions:
    """The actions that are due for a dataset; changes nothing.

    Raises:
      DataError: no encrypted dataset of ours is there.
      KeyStoreError: the keyset cannot be opened.
    """
    if storage.exists(storage.join(home, INFO_FILE)):
        raise DataError(f"{home}: this is a version of a dataset; name its home, ROOT/NAME")
    current = open_dataset(home)
    encryption = Encryption.of(current, "encrypt it first", home)
    encryption.check_keystore(keystore)
    due = KeyStore(keystore).metadata(encryption.key_name).rotation_due()
    rotate = policy.if_due and due is not None and due <= clock.now()
    reason = _reason(encryption, keystore, policy.change, due if rotate else None)
    old = retirement.old_versions(home)
    logged = Registry(keystore).retired(encryption.key_name)
    if reason is not None:
        old.append(OldVersion(current.directory, current.num_bytes, None))
    after = policy.retire_after
    return DueActions(
        home,
        current,
        encryption,
        rotate,
        reason,
        retire=tuple(version for version in old if _is_new(version, logged)),
        delete=tuple(
            version for version in old if after is not None and _has_expired(version, after, logged)
        ),
    )


def keys_to_destroy(actions: Sequence[DueActions], keystore: str) -> dict[str, list[int]]:
    """By keyset, the keys that nothing would need once the actions were carried out."""
    deleted = {storage.absolute(version.directory) for due in actions for version in due.delete}
    unneeded = {}
    for name in dict.fromkeys(due.encryption.key_name for due in actions):
        rotated = any(due.rotate for due in actions if due.encryption.key_name == name)
        unneeded[name] = KeyStore(keystore).would_destroy(
            name, lambda use: use.place in deleted, rotated=rotated
        )
    return unneeded


def reencrypt(home: str, keystore: str, policy: Policy, spec: JobSpec | None = None) -> Outcome:
    """Does what the policy asks of one dataset.

    Args:
      home: the dataset's.
      keystore: the key store's URI.
      policy: the owner's.
      spec: how the job runs that reads `dataset:HOME` and writes HOME; by default on this machine.

    Raises:
      BusyError: another run holds the dataset, and the policy does not say `if_due`.
      DataError, KeyStoreError: as `due_actions`, and where a job fails.
      JobStaged: the options ask for a template; what follows a finished job is left to the next run.
    """
    spec = spec or JobSpec(ReadSpec(f"dataset:{home}"), home)
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(hold_home(home))
        except BusyError as error:
            if not policy.if_due:
                raise
            return Outcome(JobResult(open_dataset(home), skipped=True, seconds=0.0), str(error))
        due = due_actions(home, keystore, policy)
        name = due.encryption.key_name
        rotated = KeyStore(keystore).rotate_if_due(name) if due.rotate else None
        result = write_reencrypted(spec, keystore, policy.change)
        registry = Registry(keystore)
        log_reencryption(registry, name, result.dataset)
        stale = () if result.skipped else registry.stale_runs(name, due.encryption.spec.salt)
        lock.check()  # before anything is taken away
        keys = _keys_of_versions(home, keystore)
        retired = _retire(registry, name, home, keys)
        logged = registry.retired(name)
        deleted = _delete_expired(home, policy.retire_after, logged)
        kept = {version: key for version, key in keys.items() if storage.join(home, version) not in deleted}
        expired = [place for place, since in logged.items() if _is_over(since, policy.retire_after)]
        registry.forget_versions(name, home, kept, expired)
    reason = due.reason if due.reason is not None else "under the primary key already"
    return Outcome(result, reason, rotated, retired, deleted, tuple(stale))


@dataclasses.dataclass(frozen=True)
class KeptKey:
    """An old key that stays.

    Attributes:
      id: the key's.
      needed_by: what needs it, one line each.
    """

    id: int
    needed_by: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class DestroyedKeys:
    """The keys of some keysets after those that nothing needs were destroyed.

    Attributes:
      destroyed: the ids of the keys that this run destroyed.
      kept: the old keys that stay.
      lost_runs: by destroyed key, the training runs whose models can predict no more: those that were registered, and
        released since. Of models that were never registered nothing is known.
    """

    destroyed: tuple[int, ...] = ()
    kept: tuple[KeptKey, ...] = ()
    lost_runs: Mapping[int, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """`reencrypt`'s part of `--json` about keys."""
        kept = [{"id": key.id, "needed_by": list(key.needed_by)} for key in self.kept]
        lost = {str(key_id): list(runs) for key_id, runs in self.lost_runs.items()}
        return {"destroyed_keys": list(self.destroyed), "kept_keys": kept, "lost_runs": lost}


def lost_runs(name: str, key_ids: Sequence[int], keystore: str) -> dict[int, tuple[str, ...]]:
    """By key, the training runs, of those ever registered, whose models can predict no more without it."""
    lost = Registry(keystore).lost_with(name)
    return {
        key_id: tuple(use.place for use in lost.get(key_id, []) if use.kind == "run") for key_id in key_ids
    }


def destroy_unused_keys(
    names: Sequence[str], keystore: str, note: Callable[[str], None] = lambda line: None
) -> DestroyedKeys:
    """Destroys the keys of these keysets that nothing needs.

    Args:
      names: the keysets.
      keystore: the key store's URI.
      note: called before a key is destroyed, with a line that names the models that can predict no more without it.
    """
    store, registry = KeyStore(keystore), Registry(keystore)
    destroyed: list[int] = []
    kept: list[KeptKey] = []
    lost: dict[int, tuple[str, ...]] = {}
    for name in names:
        doomed = lost_runs(name, store.would_destroy(name, lambda use: False, rotated=False), keystore)
        for key_id, runs in doomed.items():
            note(f"destroying key {key_id} of {name}: {loss_in_words(runs)}")
        lost |= doomed
        destroyed += store.destroy_unused(name)
        uses = registry.uses(name, [])
        kept += [
            KeptKey(key.id, tuple(str(use) for use in uses.get(key.id, [])))
            for key in store.keys(name)
            if not key.primary and key.state != "destroyed"
        ]
    return DestroyedKeys(
        tuple(destroyed), tuple(kept), {key_id: lost.get(key_id, ()) for key_id in destroyed}
    )


def loss_in_words(runs: Sequence[str]) -> str:
    """What becomes of models when their key is destroyed: of these runs', and of those that nobody registered."""
    unknown = "trained under it and never registered"
    if not runs:
        return f"no run was registered for it; a model {unknown} can predict no more"
    return f"the models of {', '.join(runs)} can predict no more, nor can one {unknown}"


def _reason(
    encryption: Encryption, keystore: str, change: CipherChange, came_of_age: datetime.datetime | None
) -> str | None:
    if came_of_age is not None:
        return f"its keyset's rotation was due on {came_of_age:%Y-%m-%d %H:%M} UTC"
    primary = KeyRef(keystore, encryption.key_name).open().id
    if encryption.key_id != primary:
        return f"it is under key {encryption.key_id}, the primary one is {primary}"
    if changes_cipher(encryption, change):
        return "its cipher changes"
    return None


def log_reencryption(registry: Registry, name: str, dataset: Dataset) -> None:
    """Logs how the version came to be, unless the run that made it did."""
    encryption = dataset.encryption or {}
    before = encryption.get("reencrypted_from")
    if before is not None:
        registry.log(
            name,
            "dataset re-encrypted",
            dataset=storage.absolute(dataset.directory),
            from_key=before["key"],
            to_key=encryption["key"]["id"],
        )


def _retire(registry: Registry, name: str, home: str, keys: Mapping[str, int | None]) -> tuple[str, ...]:
    newest = committed_versions(home)[-1]
    logged = registry.retired(name)
    marked = []
    for old in retirement.old_versions(home):
        if _is_new(old, logged):
            place = storage.absolute(old.directory)
            registry.log(name, RETIRED, dataset=place, replaced_by=newest, key=keys.get(old.version))
            if old.retired is None:
                retirement.retire(old, newest)
            marked.append(old.directory)
    return tuple(marked)


def _is_new(old: OldVersion, logged: Mapping[str, datetime.datetime]) -> bool:
    """Whether an old version is not marked as retired, or was so by somebody who did not log it."""
    return old.retired is None or storage.absolute(old.directory) not in logged


def _has_expired(old: OldVersion, after: datetime.timedelta, logged: Mapping[str, datetime.datetime]) -> bool:
    """Whether an old version has been retired long enough by its mark and by the log.

    Whoever can write the dataset can write the mark, and the keys of what is deleted are destroyed.
    """
    return old.expired(after) and _is_over(logged.get(storage.absolute(old.directory), clock.now()), after)


def _is_over(retired: datetime.datetime, after: datetime.timedelta | None) -> bool:
    return after is not None and retired + after <= clock.now()


def _delete_expired(
    home: str, after: datetime.timedelta | None, logged: Mapping[str, datetime.datetime]
) -> tuple[str, ...]:
    if after is None:
        return ()
    retirement.finish_deletions(home)
    deleted = []
    for old in retirement.old_versions(home):
        if _has_expired(old, after, logged):
            retirement.delete(old)
            deleted.append(old.directory)
    return tuple(deleted)


def _keys_of_versions(home: str, keystore: str) -> dict[str, int | None]:
    """The key of every version that is there; None where its key is gone, so that nobody can tell.

    Raises:
      DataError: a version is not what its owner wrote: a key that it does not name would be destroyed.
    """
    keys: dict[str, int | None] = {}
    for version in committed_versions(home):
        dataset = open_dataset(storage.join(home, version))
        if dataset.encryption is not None:
            try:
                keys[version] = open_dataset_key(dataset, Encryption.of(dataset, ""), keystore).id
            except KeyStoreError:
                keys[version] = None
    return keys
