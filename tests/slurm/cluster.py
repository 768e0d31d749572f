"""A Slurm cluster on one machine: slurmctld, munged and several slurmd, without systemd.

Each node is a slurmd in its own PID, mount and UTS namespace, so that it can vanish with all its
processes, as a machine does. Needs root and Debian's packages munge, slurmctld, slurmd,
slurm-client and slurm-wlm-basic-plugins. By hand:

    python -m tests.slurm.cluster        starts one, prints SLURM_CONF, ends with Ctrl-C
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_WAIT_S = 60.0
_UPDATE = ("scontrol", "update")


class Cluster:
    """The cluster; a context manager.

    Args:
        nodes: how many.
        cpus: tasks of one core that a node takes at once.
        max_array_size: Slurm's MaxArraySize.

    Attributes:
        conf: what SLURM_CONF must be to reach it.
    """

    def __init__(self, nodes: int = 3, cpus: int = 4, max_array_size: int = 4) -> None:
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self._cpus, self._max_array_size = cpus, max_array_size
        self.folder = Path(tempfile.mkdtemp(prefix="curate-slurm-"))
        self.conf = self.folder / "slurm.conf"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Cluster:
        for program in ("munged", "slurmctld", "slurmd", "sbatch"):
            if shutil.which(program, path=_path()) is None:
                raise RuntimeError(f"{program} is missing: install Slurm as .ci/run does")
        self._configure()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        names = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munged.pid"}
        names |= {"log-file": "munged.log", "seed-file": "munge.seed"}
        paths = [f"--{flag}={self.folder / name}" for flag, name in names.items()]
        self._start("munged", ["munged", "--foreground", "--force", "--num-threads=4", *paths])
        self._until(lambda: (self.folder / "munge.sock").exists())
        self.start_controller()
        for name in self.names:
            self.start_node(name)
        self.until_idle()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in self.names:
            self.kill_node(name)
        for process in self._processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which Slurm's commands reach the cluster."""
        return {**os.environ, "SLURM_CONF": str(self.conf), "PATH": _path()}

    def start_controller(self) -> None:
        """Start slurmctld."""
        self._start("slurmctld", ["slurmctld", "-D", "-f", str(self.conf)])
        self._until(lambda: self._run("scontrol", "ping").returncode == 0)

    def kill_controller(self) -> None:
        """Kill slurmctld; jobs run on."""
        process = self._processes.pop("slurmctld")
        process.kill()
        process.wait()

    def start_node(self, name: str) -> None:
        """Start a node."""
        hosts, conf = self.folder / "hosts", self.conf
        inside = (
            f"hostname {name}; mount --bind {hosts} /etc/hosts; exec slurmd -D -f {conf} -N {name}"
        )
        command = ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--uts"]
        self._start(name, [*command, "sh", "-c", inside])

    def kill_node(self, name: str) -> None:
        """Have a node vanish with all that runs on it."""
        process = self._processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def signal_node(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a node's slurmd alone: its jobs run on."""
        outer = self._processes[name].pid
        inner = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0]
        os.kill(int(inner), number)

    def freeze_node(self, name: str) -> None:
        """Stop everything on a node, which Slurm then takes for dead."""
        self._signal_all(name, signal.SIGSTOP)

    def thaw_node(self, name: str) -> None:
        """Have everything on a node go on as if nothing had been."""
        self._signal_all(name, signal.SIGCONT)

    def _signal_all(self, name: str, number: signal.Signals) -> None:
        outer = self._processes[name].pid
        inner = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0]
        namespace = Path(f"/proc/{inner}/ns/pid").readlink()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "ns/pid").readlink() == namespace:
                    os.kill(int(entry.name), number)

    def mend(self) -> None:
        """Bring back what a test has killed or stopped, and end what it left."""
        if "slurmctld" not in self._processes:
            self.start_controller()
        for name in self.names:
            if name in self._processes:
                self.thaw_node(name)
            else:
                self.start_node(name)
        self._run("scancel", "--user=root")
        self._until(lambda: not self.jobs())
        # A controller that was killed forgets a job's number and gives it out again, and then
        # drains the node on which both meet.
        self.resume(*self.names)
        self.until_idle()

    def drain(self, *names: str) -> None:
        """Have nodes take no more jobs."""
        self._run(*_UPDATE, f"NodeName={','.join(names)}", "State=DRAIN", "Reason=test")

    def resume(self, *names: str) -> None:
        """Have nodes take jobs again."""
        for name in names:
            self._run(*_UPDATE, f"NodeName={name}", "State=RESUME")

    def until_idle(self) -> None:
        """Wait until no job is left and every node is idle."""
        self._until(lambda: not self.jobs())
        self._until(lambda: self.nodes_in("idle") == len(self.names))

    def nodes_in(self, state: str) -> int:
        """Count the nodes in a state."""
        lines = self._run("sinfo", "-h", "-N", "-o", "%T").stdout.split()
        return sum(line.rstrip("*") == state for line in lines)

    def jobs(self) -> list[str]:
        """Return `<number> <state> <node> <name>` of each job in the queue."""
        return self._run("squeue", "-h", "-r", "-o", "%i %T %N %j").stdout.splitlines()

    def live(self) -> list[str]:
        """Return those jobs that have not ended: Slurm still tidies up after COMPLETING ones."""
        return [job for job in self.jobs() if " COMPLETING " not in job]

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=30
        )

    def _configure(self) -> None:
        host = socket.gethostname().split(".")[0]
        port = _free_ports(len(self.names) + 1)
        (self.folder / "state").mkdir()
        for name in self.names:
            (self.folder / f"spool-{name}").mkdir()
        hosts = Path("/etc/hosts").read_text()
        hosts += "".join(f"127.0.0.1 {name}\n" for name in self.names)
        (self.folder / "hosts").write_text(hosts)
        template = (Path(__file__).parent / "slurm.conf").read_text()
        values = {
            "host": host,
            "port": port,
            "folder": self.folder,
            "max_array_size": self._max_array_size,
            "nodes": len(self.names),
            "first_port": port + 1,
            "last_port": port + len(self.names),
            "cpus": self._cpus,
            "memory_mb": 4000 * self._cpus,
        }
        self.conf.write_text(template.format(**values))
        self.conf.chmod(0o644)
        self.folder.chmod(0o755)

    def _start(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.out").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                logs = "".join(
                    f"\n{path.name}: {path.read_text(errors='replace')[-1500:]}"
                    for path in sorted(self.folder.glob("*.out"))
                )
                raise RuntimeError(f"the cluster is not as it should be: {self.jobs()}{logs}")
            time.sleep(0.1)


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _free_ports(count: int) -> int:
    """Return the first of so many ports in a row that nobody listens on."""
    start = 21000 + os.getpid() % 1000 * 10  # two clusters that start at once do not meet
    for first in range(start, 32000, count):
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise RuntimeError("no ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def main() -> None:
    """Start a cluster and wait for Ctrl-C."""
    with Cluster() as cluster:
        print(f"export SLURM_CONF={cluster.conf}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
