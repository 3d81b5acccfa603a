"""What a run came to: as JSON to keep, and as a table to read, beside an earlier one."""
import datetime
import json
import os
import pathlib
import platform
import subprocess


def beginning(root):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, stdout=subprocess.PIPE, text=True).stdout.strip()
    model = next((line.split(": ")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "machine": {"cores": os.cpu_count(), "processor": model, "load_at_start": os.getloadavg()[0]},
        "scenarios": {},
    }


def folder(root):
    return root / "loadtest/baselines"


def earlier(root, named):
    """The baseline to compare with: the one that is named, or the newest."""
    kept = sorted(folder(root).glob("*.json"), key=lambda path: json.loads(path.read_text())["date"])
    path = named or (kept[-1] if kept else None)
    return json.loads(pathlib.Path(path).read_text()) if path else None


def keep(root, result):
    path = folder(root) / f"{result['date']}-{result['commit']}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path.relative_to(root)


def table(result, before):
    machine = result["machine"]
    lines = [
        f"# Baseline of {result['date']}", "",
        f"`make {'soak' if 'soak' in result['scenarios'] else 'load'}` at {result['commit']}: {machine['cores']} cores, {machine['processor']}, under a load of "
        f"{machine['load_at_start']:.1f} before it began. Clients, origin and gateway share them: compare within one run.", "",
        "| scenario | requests | a second | as they should be | client p50, p99 ms | server p50, p99 ms, at most | CPU µs each | asked of the origin | resident MiB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [row(name, played) for name, played in result["scenarios"].items()]
    if "wrk" in result:
        lines += ["", "| at most | a second | of bare | p50, p99 ms | CPU µs each | of bare |", "|---|--:|--:|--:|--:|--:|"]
        bare = result["wrk"]["bare"]
        for name, one in result["wrk"].items():
            lines.append(f"| {name} | {one['rate']:,.0f} | {one['rate'] / bare['rate']:.2f} | {one['p50_ms']}, {one['p99_ms']} "
                         f"| {one['cpu_us_a_request']} | {one['cpu_us_a_request'] / bare['cpu_us_a_request']:.2f} |")
    for name, played in result["scenarios"].items():
        if "watched" in played:
            lines += ["", *watched(name, played["watched"])]
    lines += ["", f"Resident: {result['start']['resident_mib']} MiB at start, {result['end']['resident_mib']} MiB at the end."]
    if before:
        lines += ["", *compared(result, before)]
    return "\n".join(lines)


def row(name, played):
    server = next((at for at in played["server_ms"].values() if at), {})
    return (f"| {name} | {played['requests']:,} | {played['rate']:,.0f} | {100 * played['checks']:.2f} % "
            f"| {played['client_ms']['med']}, {played['client_ms']['p(99)']} "
            f"| {bound(server, '0.5')}, {bound(server, '0.99')} | {played['cpu_us_a_request']} | {played['origin_requests']} "
            f"| {played['resident_mib']} |")


def watched(name, seen):
    quarters = [f"| {what} | {' | '.join(str(most) for most in seen['most_by_quarter'][key])} |"
                for key, what in (("resident_mib", "resident MiB"), ("files", "open files"), ("threads", "threads"))]
    return [f"| {name}, {seen['seconds'] / 60:g} min: most in each quarter | 1 | 2 | 3 | 4 |", "|---|--:|--:|--:|--:|", *quarters, "",
            f"Memory grew by {seen['mib_a_minute_in_second_half']} MiB a minute in the second half, with 60 new images a minute; "
            f"{seen['errors_logged']} errors in the log."]


def bound(server, quantile):
    return f"{server[quantile]:g}" if quantile in server else "–"


def compared(result, before):
    """CPU a request now, as a multiple of what it was: processor time is what another machine's noise changes least."""
    lines = [f"CPU a request against {before['date']} at {before['commit']}, by ratio:"]
    for name, played in result["scenarios"].items():
        if name in before["scenarios"]:
            was = before["scenarios"][name]["cpu_us_a_request"]
            lines.append(f"- {name}: {played['cpu_us_a_request'] / was:.2f}")
    for name, one in result.get("wrk", {}).items():
        if name in before.get("wrk", {}):
            lines.append(f"- {name}: {one['cpu_us_a_request'] / before['wrk'][name]['cpu_us_a_request']:.2f}")
    return lines
