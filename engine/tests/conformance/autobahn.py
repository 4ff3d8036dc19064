"""Runs the Autobahn suite against /echo and fails on anything but OK and INFORMATIONAL.

Usage: autobahn.py ADDRESS SUITE REPORT [quick]
"""

import collections
import json
import os
import subprocess
import sys

ADDRESS, SUITE, REPORT = sys.argv[1:4]
# Of the long series, the first and the last of each length.
QUICK = ["9.1.[3-6]", "9.2.[3-6]", "9.[3-6].*", "9.[78].[2-6]"]
QUICK += [f"{group}.{series}.{case}" for group in (12, 13) for series in "*" for case in [*range(3, 18)]]

spec = {
    "outdir": REPORT,
    "servers": [{"agent": "fanfare", "url": f"ws://{ADDRESS}/echo"}],
    "cases": ["*"],
    "exclude-cases": QUICK if "quick" in sys.argv[4:] else [],
    "exclude-agent-cases": {},
}
os.makedirs(REPORT, exist_ok=True)
path = os.path.join(REPORT, "spec.json")
with open(path, "w") as file:
    json.dump(spec, file)
with open(os.path.join(REPORT, "log"), "w") as log:
    subprocess.run([os.path.join(SUITE, "bin", "wstest"), "-m", "fuzzingclient", "-s", path], check=True, stdout=log, stderr=log)
with open(os.path.join(REPORT, "index.json")) as file:
    cases = json.load(file)["fanfare"]

GOOD = {"OK", "INFORMATIONAL"}
bad = {case: result for case, result in cases.items() if not {result["behavior"], result["behaviorClose"]} <= GOOD}
for case, result in bad.items():
    print(case, result["behavior"], result["behaviorClose"])
print(len(cases), "cases:", dict(collections.Counter(result["behavior"] for result in cases.values())))
sys.exit(1 if bad or len(cases) < 200 else 0)
