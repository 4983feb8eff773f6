"""The command line's entry point: so small that Ctrl-C is handled while the rest is imported."""

import io
import os
import sys


def main() -> None:
    """Run the command line, and exit with the code that stands for how the command ended."""
    _prepare_standard_streams()
    try:
        from edgesim.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


def _prepare_standard_streams() -> None:
    """Open what of the standard streams is closed (``>&-``) on /dev/null, and let no character end the program.

    Python has None for a stream that is closed; and the next file that is opened would get the stream's number, so that
    a subprocess would write its messages into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):  # the locale's encoding may lack a character, such as that of ``C`` a dot
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    main()
