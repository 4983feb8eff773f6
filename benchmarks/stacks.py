"""The reports of the example stacks: what each service uses beside the others, and what they use together."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples" / "stacks"
OPTIONS = {"parallel": ["--requests", "70"], "sequence": [], "database": ["--clients", "4", "--requests", "70"]}


def main() -> None:
    for i, (name, options) in enumerate(OPTIONS.items()):
        shown = ["edgesim", "run", f"examples/stacks/{name}/stack.yaml", *options]
        print(f"{chr(10) if i else ''}$ {' '.join(shown)}", flush=True)
        command = [sys.executable, "-m", "edgesim.cli", "run", str(EXAMPLES / name / "stack.yaml"), *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print("\n".join(line.rstrip() for line in done.stdout.splitlines()), flush=True)
        if done.returncode:
            raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
