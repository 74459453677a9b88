"""Flink's processes on loopback: Beam's job server, a JobManager, TaskManagers."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.servers import free_port
from tests.servers.flink.jars import OPENS, JobServerJar
from tests.workers.pool import process_group

SLOTS = 2

_READY_SECONDS = 60.0

# For processes that live a minute: a quick start before quick work, and times in logs.
_JAVA = (
    *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENS),
    *("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"),
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)

# Addresses, so that nothing listens beyond loopback; memory, which Flink's scripts would work out; and a dead
# TaskManager noticed within seconds, where the default is nearly a minute.
_CONFIGURATION = """
jobmanager.rpc.address: 127.0.0.1
jobmanager.bind-host: 127.0.0.1
jobmanager.memory.process.size: 700m
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.cpu.cores: 1.0
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.task.heap.size: 160m
taskmanager.memory.task.off-heap.size: 0m
taskmanager.memory.managed.size: 32m
taskmanager.memory.network.min: 32m
taskmanager.memory.network.max: 32m
taskmanager.memory.jvm-metaspace.size: 192m
taskmanager.memory.jvm-overhead.min: 64m
taskmanager.memory.jvm-overhead.max: 64m
taskmanager.load-balance.mode: SLOTS
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
heartbeat.interval: 500
heartbeat.timeout: 3000
heartbeat.rpc-failure-threshold: 2
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 10
restart-strategy.fixed-delay.delay: 1 s
"""


@dataclasses.dataclass
class TaskManager:
    """One of a cluster's workers, in a process group of its own with the Python workers that it starts."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def open_files(self, folder: Path) -> set[Path]:
        """Files below `folder` that its Python workers have open now."""
        out = set()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # what has ended meanwhile
                group = int((process / "stat").read_text().rsplit(")", 1)[1].split()[2])
                if group == self.process.pid:
                    opened = {link.readlink() for link in (process / "fd").iterdir()}
                    out |= {path for path in opened if path.is_relative_to(folder)}
        return out

    def kill(self) -> None:
        """SIGKILL to it and to its Python workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@dataclasses.dataclass
class Cluster:
    """A running cluster.

    Attributes:
      master: HOST:PORT for `--flink_master`.
      task_managers: as they were started.
    """

    master: str
    task_managers: list[TaskManager]

    def ask(self, path: str) -> Any:
        """What Flink's REST interface answers."""
        with urllib.request.urlopen(f"http://{self.master}{path}", timeout=10) as answer:
            return json.load(answer)


@contextlib.contextmanager
def job_server(jar: JobServerJar, folder: Path, master: str = "[local]") -> Iterator[str]:
    """Runs Beam's Flink job server until the block ends; yields HOST:PORT for `--job_endpoint`.

    It listens on every address, and has no option for another; what it starts is on loopback alone.

    Args:
      folder: where its log and staged files go.
      master: HOST:PORT of a cluster; by default one is embedded, anew for each job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, artifacts = free_port(), free_port()
    conf = folder / "conf"
    if master == "[local]":
        _write_configuration(conf, "restart-strategy.type: none\n")
    else:
        _write_configuration(conf)
    words = ["java", *_JAVA, "-Xmx700m", "-jar", jar.path, "--job-host=localhost", f"--job-port={port}"]
    words += [
        f"--artifact-port={artifacts}",
        "--expansion-port=-1",
        f"--artifacts-dir={folder / 'artifacts'}",
    ]
    words += [f"--flink-master={master}", f"--flink-conf-dir={conf}"]
    with process_group([str(word) for word in words], port, log=folder / "job_server.log", cwd=folder):
        yield f"localhost:{port}"


@contextlib.contextmanager
def cluster(jar: JobServerJar, folder: Path, task_managers: int = 2) -> Iterator[Cluster]:
    """Runs a JobManager and TaskManagers of two slots each until the block ends."""
    rest, rpc = free_port(), free_port()
    ports = f"rest.port: {rest}\njobmanager.rpc.port: {rpc}\nblob.server.port: {free_port()}\n"
    ports += f"taskmanager.numberOfTaskSlots: {SLOTS}\n"
    with contextlib.ExitStack() as stack:
        conf = _write_configuration(folder / "conf", ports)
        main = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        command = _java(jar, main, conf, "-Xmx500m")
        stack.enter_context(process_group(command, rpc, log=folder / "job_manager.log", cwd=folder))
        running = Cluster(f"127.0.0.1:{rest}", [])
        for index in range(task_managers):
            name = f"task-manager-{index}"
            port = free_port()
            own = f"taskmanager.rpc.port: {port}\ntaskmanager.resource-id: {name}\n"
            conf = _write_configuration(folder / name / "conf", ports + own)
            main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
            command, log = _java(jar, main, conf, "-Xmx400m"), folder / name / "log"
            process = stack.enter_context(process_group(command, port, log=log, cwd=folder / name))
            running.task_managers.append(TaskManager(name, process, log))
        _wait_for_slots(running, SLOTS * task_managers)
        yield running


def _java(jar: JobServerJar, main: str, conf: Path, memory: str) -> list[str]:
    return ["java", *_JAVA, memory, "-cp", str(jar.path), main, "--configDir", str(conf)]


def _write_configuration(conf: Path, more: str = "") -> Path:
    conf.mkdir(parents=True, exist_ok=True)
    settings = dict(line.split(": ", 1) for line in (_CONFIGURATION + more).strip().splitlines())
    text = "".join(f"{name}: {value}\n" for name, value in settings.items())
    (conf / "flink-conf.yaml").write_text(f"{text}io.tmp.dirs: {conf.parent}\n")
    return conf


def _wait_for_slots(running: Cluster, count: int) -> None:
    end = time.monotonic() + _READY_SECONDS
    while True:
        with contextlib.suppress(OSError):
            if running.ask("/overview")["slots-total"] == count:
                return
        for manager in running.task_managers:
            ended = manager.process.poll()
            assert ended is None, f"{manager.name} ended with {ended}: {manager.log.read_text()[-2000:]}"
        assert time.monotonic() < end, f"the TaskManagers of {running.master} do not register"
        time.sleep(0.1)
