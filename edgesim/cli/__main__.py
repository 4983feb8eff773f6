"""The command line's entry point: so small that Ctrl-C is handled while the rest is imported."""

import sys


def main() -> None:
    """Run the command line, and exit with the code that stands for how the command ended."""
    try:
        from edgesim.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
