"""Run the pipeline on this machine, each step in a container: ``python run_locally.py [--engine docker] [RULE ...]``.

The artifacts are in local_outputs/.
"""

import argparse
import os
from pathlib import Path

from kfp import local
from pipeline import RULES, model_for_a_board

SOCKET = Path("/var/run/docker.sock")

parser = argparse.ArgumentParser()
parser.add_argument("rules", nargs="*", default=RULES, metavar="RULE")
parser.add_argument("--engine", choices=("local", "docker"), default="local")
parser.add_argument("--board", default="jetson-nano")
parser.add_argument("--outputs", type=Path, default=Path("local_outputs"), metavar="DIR")
options = parser.parse_args()

container = {"user": f"{os.getuid()}:{os.getgid()}", "network_mode": "none"}
if options.engine == "docker":
    # Whoever may use the engine is root on this machine.
    mount = {"Type": "bind", "Source": str(SOCKET), "Target": str(SOCKET)}
    container = container | {"network_mode": "bridge", "mounts": [mount], "group_add": [SOCKET.stat().st_gid]}
local.init(runner=local.DockerRunner(**container), pipeline_root=str(options.outputs.resolve()))
model_for_a_board(board=options.board, engine=options.engine, rules=options.rules)
