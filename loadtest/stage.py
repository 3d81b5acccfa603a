"""What a run needs: the origin, and gateways in front of it, as processes that end with the run."""
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A program that is ready once it has said so."""

    def __init__(self, command, log, ready):
        self.log = log
        with open(log, "wb") as output:
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
        for _ in range(600):
            if ready in log.read_text():
                return
            if self.child.poll() is not None:
                break
            time.sleep(0.1)
        self.end()
        raise SystemExit(f"loadtest: {command[0]} did not say {ready!r}:\n{log.read_text()}")

    def cpu(self):
        """Seconds of processor time so far."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self):
        """MiB that are resident."""
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return round(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, 1)

    def signal(self, number):
        self.child.send_signal(number)

    def end(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(30)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Gateway(Process):
    """A gateway, and where its doors are."""

    def __init__(self, program, config, log, ports):
        self.registry, self.webhook, self.admin = (f"127.0.0.1:{port}" for port in ports)
        super().__init__([program, "serve", "--config", config], log, "Countersign is ready")

    def metrics(self):
        """Every sample, by its name and labels."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


class Stage:
    """An origin, a gateway that has no Redis, and one that has."""

    def __init__(self, programs, work, images):
        self.programs, self.work, self.running = programs, work, []
        self.directory = work / "stage"
        self.images = images
        self.origin = self.run(Process, [programs / "loadtest-stage", "--images", str(images), self.directory],
                               work / "origin.log", "ready")
        self.bare = (self.directory / "bare").read_text().strip()
        self.told = 1
        self.cold = 300
        self.gateway = self.start_gateway("alone", (15000, 18443, 19090), "")

    def run(self, kind, *arguments):
        process = kind(*arguments)
        self.running.append(process)
        return process

    def start_gateway(self, name, ports, more):
        registry, webhook, admin = ports
        config = self.work / f"{name}.yaml"
        base = (self.directory / "countersign.yaml").read_text().replace("/storage}", f"/storage-{name}}}")
        config.write_text(f"{base}registry: {{listen: '127.0.0.1:{registry}'}}\nadmission: {{listen: '127.0.0.1:{webhook}'}}\n"
                          f"admin: {{listen: '127.0.0.1:{admin}'}}\n{more}")
        return self.run(Gateway, self.programs / "countersign", config, self.work / f"{name}.log", ports)

    def with_redis(self):
        """A gateway on a Redis of its own, and that."""
        port = 16379
        redis = self.run(Process, ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.work)],
                         self.work / "redis.log", "Ready to accept connections")
        key = self.work / "seal.key"
        key.write_bytes(os.urandom(32))
        key.chmod(0o600)
        more = f"cache: {{redis: {{url: 'redis://127.0.0.1:{port}', sealKeys: [{key}]}}}}\n"
        return self.start_gateway("shared", (15001, 18444, 19091), more), redis

    def tell(self, line):
        """Tells the origin what to do, and returns what it answers."""
        self.origin.child.stdin.write(f"{line}\n".encode())
        self.origin.child.stdin.flush()
        for _ in range(100):
            said = self.origin.log.read_text().splitlines()
            if len(said) > self.told:
                self.told = len(said)
                return said[-1]
            time.sleep(0.05)
        raise SystemExit(f"loadtest: the origin did not answer {line!r}")

    def unknown(self, count):
        """So many images that were not asked for before: the number of the first."""
        first = self.cold
        self.cold += count
        if self.cold > self.images:
            raise SystemExit(f"loadtest: {self.images} images are too few: --images")
        return first

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            process.end()
