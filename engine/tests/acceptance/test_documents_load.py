"""Documents: the loads of documents.load.toml, with less of everything so that they take a second. Times are for builds that are optimised, on
machines of their own: here only what is lost counts."""

import os
import pathlib
import subprocess
import tomllib

import pytest
from conftest import BINARY, ROOT, SECRET, Server

PROFILE = str(ROOT / "engine/profile/profiles/documents.toml")
LOAD = ROOT / "engine/profile/profiles/documents.load.toml"
LOADGEN = os.environ.get("FANFARE_LOADGEN", str(pathlib.Path(BINARY).with_name("fanfare-loadgen")))

RUNS = tomllib.loads(LOAD.read_text())["run"]


@pytest.mark.skipif(not os.path.exists(LOADGEN), reason="needs fanfare-loadgen")
def test_the_loads_lose_nothing_when_they_are_small(tmp_path):
    small = {"connections": 40, "members": 4, "rooms": 4, "rate": 200, "rounds": 1}
    lines = []
    for line in LOAD.read_text().splitlines():
        name = line.partition(" = ")[0]
        if name in small:
            line = f"{name} = {small[name]}"
        elif name == "raw":
            line = f'raw = "{LOAD.with_name("documents.raw.toml")}"'
        elif name in ("warmup", "duration"):
            line = f'{name} = "200ms"'
        elif name == "dev":
            line = f'token_secret = "{SECRET}"'
        elif name == "threshold":
            bounds = tomllib.loads(line)["threshold"]
            kept = [bound for bound in bounds if "==" in bound or bound.endswith("3s") or bound.endswith("<3")]
            line = f"threshold = {kept}"
        lines.append(line)
    with Server(PROFILE, env={"FANFARE_LIMITS_COMMANDS_PER_MINUTE": "0"}) as server:
        # Publishers come after the members: those of one room, and of four.
        for number in range(4):
            server.http("PUT", f"/v1/rooms/document:load-{number}", {"invited": ["load-4", "load-16"]}, status=200)
        file = tmp_path / "small.toml"
        file.write_text("\n".join(lines).replace("127.0.0.1:8080", server.address))
        run = subprocess.run([LOADGEN, "run", file], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_bound_that_was_asked_for_is_in_the_file():
    thresholds = [threshold for run in RUNS for threshold in run["threshold"]]
    assert "time_to_welcome.p99<100ms" in thresholds and "p99<50ms" in thresholds and "back.p99<3s" in thresholds
    assert any(run["scenario"] == "connect" and run["connections"] >= 1000 for run in RUNS)
    assert any(run.get("rate", 0) >= 10000 for run in RUNS)
