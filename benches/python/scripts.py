"""What fresh interpreters run: each prints one JSON document."""

BARE_TORCH = """
import json, time
begin = time.perf_counter()
import torch
print(json.dumps({"seconds": time.perf_counter() - begin}))
"""

READY_TORCH = """
import json, sys, time
begin = time.perf_counter()
from symphony import boot
system = boot(conductor="symphony.conductor:TorchPolicy", config=sys.argv[1])
seconds = time.perf_counter() - begin
report = system.report
system.shutdown()
print(json.dumps({
    "seconds": seconds,
    "since_launch": report.since_launch_seconds,
    "infrastructure": report.infrastructure_seconds,
    "overhead": report.overhead_seconds,
}))
"""

READY = """
import json, sys
from symphony import boot
system = boot(config=sys.argv[1])
report = system.report
memory = 0
import os
children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
pid = next((int(entry) for entry in children), None)
if pid is not None:
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Private"):
            memory += int(line.split()[1])
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
guests = []
for entry in system.kit.extensions():
    guest = system.kit.extension(entry).pid
    if guest is not None:
        lines = open(f"/proc/{guest}/smaps_rollup")
        guests.append(sum(int(line.split()[1]) for line in lines if line.startswith("Private")))
system.shutdown()
print(json.dumps({
    "guest_kib": sum(guests) / len(guests),
    "ready": report.ready_seconds,
    "overhead": report.overhead_seconds,
    "supervisor_kib": memory,
    "peak_kib": peak,
}))
"""

BARE = """
import json, sys
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"peak_kib": peak}))
"""

IMPORT = """
import json, time
begin = time.perf_counter()
import symphony
middle = time.perf_counter()
import argparse
print(json.dumps({"seconds": middle - begin, "peer": time.perf_counter() - middle}))
"""
