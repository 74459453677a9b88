"""Beam's Flink job server as one runnable jar, by the ordinary Maven client."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import subprocess
import warnings
import zipfile
from pathlib import Path

import pytest

from tests.deploy import tool
from tests.workers.environment import cache_folder, locked

MAIN = "org.apache.beam.runners.flink.FlinkJobServerDriver"

# What Flink's own scripts open of Java's for it.
OPENS = tuple(
    f"java.base/{package}"
    for package in (
        "java.io",
        "java.lang",
        "java.lang.invoke",
        "java.lang.reflect",
        "java.net",
        "java.nio",
        "java.text",
        "java.time",
        "java.util",
        "java.util.concurrent",
        "java.util.concurrent.atomic",
        "java.util.concurrent.locks",
        "sun.net.util",
    )
)

_FLINK = "1.19"
_POM = Path(__file__).with_name("pom.xml")
_MAVEN_SECONDS = 400


@dataclasses.dataclass(frozen=True)
class JobServerJar:
    """A jar to be run with `java -jar`, with Flink in it or behind it.

    Attributes:
      path: the jar.
      version: the Beam version that it is of.
    """

    path: Path
    version: str


def job_server_jar() -> JobServerJar:
    """The job server of the Beam version in use, or else the library's newest version that can be had.

    Maven keeps what it fetched; where there is neither, the test is skipped with a warning in pytest's summary.
    """
    tool("java", "a Java runtime, 11 or 17")
    tool("mvn", "Apache Maven")
    beam = importlib.metadata.version("apache-beam")
    digest = hashlib.sha256(f"{beam}|".encode() + _POM.read_bytes()).hexdigest()[:16]
    folder = cache_folder() / f"flink-{digest}"
    with locked(folder.with_suffix(".lock")):
        folder.mkdir(exist_ok=True)
        exact, thin = folder / "exact.jar", folder / "library.jar"
        if not exact.exists() and not (thin.exists() and _complete(thin)):
            artifact = f"org.apache.beam:beam-runners-flink-{_FLINK}-job-server:{beam}"
            found = _maven("dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}")
            if not found:
                folder.joinpath(f"beam-runners-flink-{_FLINK}-job-server-{beam}.jar").rename(exact)
            else:
                _make_thin(thin, folder / "classpath", found)
    if exact.exists():
        return JobServerJar(exact, beam)
    return JobServerJar(thin, _library_version())


def _make_thin(thin: Path, listing: Path, exact_failed: str) -> None:
    """A jar that holds nothing but where the library's jars are, in Maven's own repository."""
    failed = _maven("-f", str(_POM), "dependency:build-classpath", f"-Dmdep.outputFile={listing}")
    if failed:
        line = f"Beam's Flink job server can't be had, so Flink is not tested: {exact_failed}; {failed}"
        warnings.warn(line, stacklevel=3)
        pytest.skip(line)
    jars = [Path(name) for name in listing.read_text().split(":")]
    lines = [
        "Manifest-Version: 1.0",
        f"Main-Class: {MAIN}",
        f"Add-Opens: {' '.join(OPENS)}",
        f"Class-Path: {' '.join(jar.as_uri() for jar in jars)}",
    ]
    with zipfile.ZipFile(thin, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "".join(map(_folded, lines)))


def _folded(line: str) -> str:
    """A manifest's lines have 72 bytes at most; a space continues one."""
    parts = [line[:70], *(line[at : at + 69] for at in range(70, len(line), 69))]
    return "\r\n ".join(parts) + "\r\n"


def _complete(thin: Path) -> bool:
    """Whether all that the jar points to is still there."""
    return all(Path(name).exists() for name in (thin.parent / "classpath").read_text().split(":"))


def _library_version() -> str:
    return _POM.read_text().split("<artifactId>beam-runners-flink")[1].split("<version>")[1].split("<")[0]


def _maven(*words: str) -> str:
    """Runs Maven; returns why it failed, or nothing."""
    command = ["mvn", "--quiet", "--batch-mode", *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_MAVEN_SECONDS, cwd=_POM.parent
        )
    except subprocess.TimeoutExpired:
        return f"mvn took more than {_MAVEN_SECONDS} s"
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()[-400:] or "mvn failed"
