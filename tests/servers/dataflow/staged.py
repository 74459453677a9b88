"""What a job staged, taken out of its bucket as the service does it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

_HOST = "storage.googleapis.com/"


class Bucket:
    """The objects of a storage emulator.

    Args:
      url: the emulator's.
    """

    def __init__(self, url: str) -> None:
        self._client = storage.Client(
            project="test", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}
        )

    def read(self, path: str) -> bytes:
        """The object at `gs://BUCKET/NAME`. Raises google.cloud.exceptions.NotFound."""
        bucket, _, name = path.removeprefix("gs://").partition("/")
        return self._client.bucket(bucket).blob(name).download_as_bytes()

    def write(self, path: str, data: bytes) -> None:
        """Makes or replaces an object."""
        bucket, _, name = path.removeprefix("gs://").partition("/")
        self._client.bucket(bucket).blob(name).upload_from_string(data)

    def below(self, prefix: str) -> dict[str, bytes]:
        """All objects whose path begins so, by path."""
        bucket, _, start = prefix.removeprefix("gs://").partition("/")
        return {
            f"gs://{bucket}/{blob.name}": blob.download_as_bytes()
            for blob in self._client.list_blobs(bucket, prefix=start)
        }


def pipeline(body: dict[str, Any], bucket: Bucket) -> beam_runner_api_pb2.Pipeline:
    """The pipeline that a job's body names. Raises ValueError unless it is the one that was submitted."""
    options = body["environment"]["sdkPipelineOptions"]["options"]
    data = bucket.read(options["pipelineUrl"])
    if hashlib.sha256(data).hexdigest() != options["pipelineProtoHash"]:
        raise ValueError(f"{options['pipelineUrl']}: not the pipeline that was submitted")
    return beam_runner_api_pb2.Pipeline.FromString(data)


def packages(body: dict[str, Any], bucket: Bucket) -> dict[str, bytes]:
    """What every worker downloads before it starts, by name."""
    pool = body["environment"]["workerPools"][0]
    return {
        package["name"]: bucket.read(f"gs://{package['location'].removeprefix(_HOST)}")
        for package in pool.get("packages", [])
    }


def on_workers(
    proto: beam_runner_api_pb2.Pipeline, bucket: Bucket, folder: Path, workers: str
) -> beam_runner_api_pb2.Pipeline:
    """The same pipeline, with its containers swapped for workers of a pool, and its artifacts for files.

    Args:
      folder: where the artifacts go.
      workers: HOST:PORT of the pool.
    """
    out = beam_runner_api_pb2.Pipeline()
    out.CopyFrom(proto)
    for environment in out.components.environments.values():
        if environment.urn != common_urns.environments.DOCKER.urn:
            raise ValueError(f"Dataflow runs containers only, not {environment.urn}")
        environment.urn = common_urns.environments.EXTERNAL.urn
        payload = beam_runner_api_pb2.ExternalPayload()
        payload.endpoint.url = workers
        environment.payload = payload.SerializeToString()
        for artifact in environment.dependencies:
            if artifact.type_urn == common_urns.artifact_types.URL.urn:
                _as_file(artifact, bucket, folder)
    return out


def _as_file(artifact: beam_runner_api_pb2.ArtifactInformation, bucket: Bucket, folder: Path) -> None:
    staged = beam_runner_api_pb2.ArtifactUrlPayload.FromString(artifact.type_payload)
    data = bucket.read(staged.url)
    if hashlib.sha256(data).hexdigest() != staged.sha256:
        raise ValueError(f"{staged.url}: not the file that was staged")
    path = folder / staged.sha256
    path.write_bytes(data)
    artifact.type_urn = common_urns.artifact_types.FILE.urn
    artifact.type_payload = beam_runner_api_pb2.ArtifactFilePayload(
        path=str(path), sha256=staged.sha256
    ).SerializeToString()
