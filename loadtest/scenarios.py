"""The scenarios: what each does besides what k6 sends, and what came of it."""
import json
import pathlib
import signal
import subprocess
import threading
import time

import soak

NAMES = ["warm", "cold", "connections", "zipf", "herd", "drain", "storm", "manifests", "blobs", "mixed",
         "registry-faults", "redis-faults", "soak"]

# How many images a scenario asks for that were not asked for before, at most, each second or at once.
UNKNOWN_A_SECOND = {"cold": 15, "zipf": 3, "soak": 1, "registry-faults": 10}
UNKNOWN = {"herd": 1}
HISTOGRAMS = {"countersign_admission_seconds": 'act="validate"', "countersign_pull_seconds": ""}


def play(name, stage, k6, seconds):
    """Plays one, and says what was measured."""
    gateway, around, watch = stage.gateway, calm, None
    if name == "redis-faults":
        gateway, redis = stage.with_redis()
        around = lambda: redis_faults(redis, seconds)  # noqa: E731
    elif name == "registry-faults":
        around = lambda: registry_faults(stage)  # noqa: E731
    elif name == "storm":
        around = lambda: policy_storm(stage, seconds)  # noqa: E731
    elif name == "cold":
        around = lambda: distant_registry(stage)  # noqa: E731
    elif name == "soak":
        watch = soak.Watch(gateway, seconds)
        around = watch.steps
    cold = stage.unknown(UNKNOWN.get(name, 0) + UNKNOWN_A_SECOND.get(name, 0) * seconds)
    if name != "cold":
        known(stage, gateway)
    stage.tell("requests")
    before, cpu = gateway.metrics(), gateway.cpu()
    with Around(around()):
        summary, status = ask(k6, name, stage, gateway, seconds, cold)
    after, cpu = gateway.metrics(), gateway.cpu() - cpu
    requests = int(summary["http_reqs"]["count"])
    watched = {"watched": watch.told()} if watch else {}
    return {
        "passed": status == 0 and (not watch or watched["watched"]["level"]),
        "requests": requests,
        "rate": round(summary["http_reqs"]["rate"], 1),
        "checks": summary["checks"]["value"] if "value" in summary["checks"] else summary["checks"]["passes"] / requests,
        "client_ms": {at: round(summary["http_req_duration"][at], 3) for at in ("med", "p(95)", "p(99)")},
        "server_ms": {metric: quantiles(before, after, metric, label) for metric, label in HISTOGRAMS.items()},
        "cpu_us_a_request": round(cpu * 1e6 / max(requests, 1), 1),
        "discoveries": int(sum_of(after, "countersign_discoveries_total") - sum_of(before, "countersign_discoveries_total")),
        "origin_requests": int(stage.tell("requests").split()[1]),
        "resident_mib": gateway.resident(),
        **watched,
    }


def ask(k6, name, stage, gateway, seconds, cold):
    """Lets k6 ask, and returns its summary and how it ended."""
    summary = stage.work / f"{name}.json"
    environment = {
        "SCENARIO": name, "STAGE": stage.directory, "SECONDS": seconds, "COLD": cold,
        "WEBHOOK": f"https://{gateway.webhook}", "REGISTRY": f"http://{gateway.registry}",
    }
    variables = [part for key, value in environment.items() for part in ("-e", f"{key}={value}")]
    script = pathlib.Path(__file__).parent / "k6/scenarios.js"
    log = stage.work / f"{name}.k6"
    with open(log, "wb") as output:
        ended = subprocess.run([k6, "run", "--no-usage-report", "--quiet", "--summary-export", summary, *variables, script],
                               stdout=output, stderr=subprocess.STDOUT)
    if not summary.exists():
        raise SystemExit(f"loadtest: {name}:\n{log.read_text()}")
    if ended.returncode:
        print(log.read_text()[-3000:])
    return json.loads(summary.read_text())["metrics"], ended.returncode


def known(stage, gateway):
    """Makes a gateway know the images that count as known, once."""
    if getattr(gateway, "knows", False):
        return
    import ssl
    import urllib.request
    template = json.loads((stage.directory / "review.json").read_text())
    digests = json.loads((stage.directory / "digests.json").read_text())
    container = template["request"]["object"]["spec"]["containers"][0]
    trusting = ssl._create_unverified_context()
    for first in range(0, 300, 3):
        names = [f"registry.example/acme/app@{digest}" for digest in digests[first:first + 3]]
        template["request"]["object"]["spec"]["containers"] = [
            {**container, "name": f"c{index}", "image": image} for index, image in enumerate(names)]
        request = urllib.request.Request(f"https://{gateway.webhook}/admission/validate?timeout=10s",
                                         json.dumps(template).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, context=trusting) as answer:
            response = json.load(answer)["response"]
        if not response["allowed"]:
            raise SystemExit(f"loadtest: {response}")
        for name in names:
            repository, digest = name.split("@")
            urllib.request.urlopen(f"http://{gateway.registry}/v2/{repository}/manifests/{digest}").read()
    gateway.knows = True


class Around:
    """Something that goes on while a scenario plays: a generator that is stepped through by a thread, and closed."""

    def __init__(self, steps):
        self.steps, self.over = steps, threading.Event()
        self.thread = threading.Thread(target=self.go)

    def go(self):
        for pause in self.steps:
            if self.over.wait(pause):
                break
        self.steps.close()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def calm():
    yield 0


def distant_registry(stage):
    stage.tell("fault delay 20")
    try:
        yield 3600
    finally:
        stage.tell("clear")


def registry_faults(stage):
    stage.tell("fault status 503")
    try:
        yield 3600
    finally:
        stage.tell("clear")


def policy_storm(stage, seconds):
    """A policy that speaks of other images changes twice a second."""
    policy = (stage.directory / "policies/policy.yaml").read_text().replace("acme", "other")
    for turn in range(2 * seconds):
        text = policy.replace("other-is-signed", f"other-is-signed-{turn}")
        arriving = stage.directory / "policies/.storm"
        arriving.write_text(text)
        arriving.rename(stage.directory / "policies/storm.yaml")
        yield 0.5


def redis_faults(redis, seconds):
    """Redis stands still for a third of the time, and is gone for the last third."""
    yield seconds / 3
    redis.signal(signal.SIGSTOP)
    yield seconds / 3
    redis.signal(signal.SIGCONT)
    redis.end()
    yield 3600


def sum_of(metrics, name):
    return sum(value for key, value in metrics.items() if key.split("{")[0] == name)


def quantiles(before, after, metric, label):
    """Upper bounds of the buckets that the quantiles of what came between are in, in milliseconds."""
    buckets = []
    for key, value in after.items():
        if key.startswith(f"{metric}_bucket") and label in key:
            bound = key.split('le="')[1].split('"')[0]
            buckets.append((float("inf") if bound == "+Inf" else float(bound), value - before.get(key, 0)))
    merged = {}
    for bound, count in buckets:
        merged[bound] = merged.get(bound, 0) + count
    total = merged.get(float("inf"), 0)
    if not total:
        return {}
    ordered = sorted(merged.items())
    return {str(q): next(bound for bound, count in ordered if count >= q * total) * 1000 for q in (0.5, 0.99, 0.999)}
