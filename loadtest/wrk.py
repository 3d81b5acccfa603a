"""What can be got out of the gateway at most, by wrk: it costs a tenth of what k6 does. Beside a bare server, in turns; and how
long the gateway itself takes over reviews at a rate that is far more than API servers send."""
import re
import subprocess

from scenarios import HISTOGRAMS, quantiles

CONNECTIONS = 16
# Between an answer and the next question of a connection, in milliseconds: some 5,000 a second of all.
PAUSE = 3
ROUNDS = 3
UNITS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}


def measure(stage, seconds):
    """Rates, latencies and processor time of each; of three rounds in turns the one with the median rate."""
    gateway, digest = stage.gateway, first_digest(stage)
    manifest = f"http://{gateway.registry}/v2/registry.example/acme/app/manifests/{digest}"
    webhook = f"https://{gateway.webhook}/admission/validate?timeout=10s"
    paced = script(stage, f"function delay() return {PAUSE} end")
    review, one_each = script(stage, ""), script(stage, 'wrk.headers["connection"] = "close"')
    asked = {
        "bare": (stage.origin, [stage.bare]),
        "manifest": (gateway, [manifest]),
        "review": (gateway, ["-s", review, webhook]),
        "review, a connection each": (gateway, ["-s", one_each, webhook]),
        "review, with pauses": (gateway, ["-s", paced, webhook]),
    }
    rounds = {name: [] for name in asked}
    for _ in range(ROUNDS):
        for name, (process, arguments) in asked.items():
            rounds[name].append(once(process, arguments, max(seconds // 2, 3)))
    return {name: sorted(measured, key=lambda one: one["rate"])[ROUNDS // 2] for name, measured in rounds.items()}


def once(process, arguments, seconds):
    before, cpu = metrics_of(process), process.cpu()
    ran = subprocess.run(["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", str(seconds), "--latency", *map(str, arguments)],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    cpu = process.cpu() - cpu
    requests = int(re.search(r"(\d+) requests in", ran)[1])
    if "Non-2xx" in ran or not requests:
        raise SystemExit(f"loadtest: refused:\n{ran}")
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", ran)[1]),
        "p50_ms": milliseconds(re.search(r"(?m)^\s+50%\s+(\S+)", ran)[1]),
        "p99_ms": milliseconds(re.search(r"(?m)^\s+99%\s+(\S+)", ran)[1]),
        "cpu_us_a_request": round(cpu * 1e6 / requests, 1),
        "server_ms": {of: quantiles(before, metrics_of(process), of, label) for of, label in HISTOGRAMS.items()},
    }


def metrics_of(process):
    """What it says of itself, if it is a gateway."""
    return process.metrics() if hasattr(process, "metrics") else {}


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)(\D+)", text).groups()
    return round(float(number) * UNITS[unit], 3)


def first_digest(stage):
    import json
    return json.loads((stage.directory / "digests.json").read_text())[0]


def script(stage, more):
    path = stage.work / f"post-{len(more)}.lua"
    path.write_text(f'local f = io.open("{stage.directory}/review.json"); wrk.body = f:read("*a"); f:close()\n'
                    f'wrk.method = "POST"; wrk.headers["content-type"] = "application/json"\n{more}\n')
    return path
