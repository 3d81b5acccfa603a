"""What is watched while the soak plays: whether anything grows that should not."""
import os
import pathlib
import statistics

# What a new image may take in memory, in MiB: its manifest, signatures, facts and verdict. One is asked for each second.
AN_IMAGE = 64 / 1024
# How many more files, and threads, there may be in the last quarter than were before: connections come and go, and so do
# threads that wait for the disk.
MORE = {"files": 32, "threads": 8}


class Watch:
    """Looks at a gateway sixty times while a scenario plays."""

    def __init__(self, gateway, seconds):
        self.gateway, self.seconds, self.samples = gateway, seconds, []

    def steps(self):
        for turn in range(61):
            self.samples.append({
                "second": round(turn * self.seconds / 60, 1),
                "resident_mib": self.gateway.resident(),
                "files": len(os.listdir(f"/proc/{self.gateway.child.pid}/fd")),
                "threads": len(os.listdir(f"/proc/{self.gateway.child.pid}/task")),
            })
            yield self.seconds / 60

    def told(self):
        """What was seen. Memory is judged by its second half: in the first one caches are filled."""
        half = self.samples[len(self.samples) // 2:]
        slope = statistics.linear_regression([s["second"] for s in half], [s["resident_mib"] for s in half]).slope
        quarters = [self.samples[at * len(self.samples) // 4:(at + 1) * len(self.samples) // 4] for at in range(4)]
        most = {name: [max(s[name] for s in quarter) for quarter in quarters] for name in ("resident_mib", "files", "threads")}
        log = pathlib.Path(self.gateway.log).read_text(errors="replace").splitlines()
        return {
            "seconds": self.seconds,
            "most_by_quarter": most,
            "mib_a_minute_in_second_half": round(slope * 60, 2),
            "errors_logged": sum(" ERROR " in line for line in log),
            "level": slope < AN_IMAGE
            and all(most[name][3] <= max(most[name][:3]) + more for name, more in MORE.items()),
        }
