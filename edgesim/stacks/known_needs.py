"""What common Debian packages need in a container, told from the words in which their programs complain.

A package's scripts, which would configure it, do not run in an image of `packages`. The words are those of Debian 12's
versions, as found by running them.
"""

import re

_NEEDS = (
    # redis-server 7.0, at its start: QEMU's emulation of the process looks like an old kernel with this bug.
    (r"ARM64-COW-BUG", "the emulator looks like an old kernel: add --ignore-warnings ARM64-COW-BUG to Redis's command"),
    # redis-server 7.0, to a client on another address; the words are in the client's log.
    (r"Redis is running in protected mode", "add --protected-mode no to Redis's command: only this stack reaches it"),
    # mosquitto 2.0, at its start
    (
        r"Starting in local only mode",
        "give mosquitto a configuration (-c FILE) with the lines: listener 1883, allow_anonymous true",
    ),
    # libblas3 and liblapack3, which update-alternatives would link; numpy needs both.
    (
        r"lib(blas|lapack)\.so\.3: cannot open shared object file",
        "environment: {LD_LIBRARY_PATH: /usr/lib/TRIPLET/blas:/usr/lib/TRIPLET/lapack}, where TRIPLET is"
        " aarch64-linux-gnu, or x86_64-linux-gnu on amd64",
    ),
    # postgresql 15
    (
        r"could not create lock file \"/var/run/postgresql/",
        "add -c unix_socket_directories=/tmp to PostgreSQL's command",
    ),
    (
        r"Read-only file system",
        "the image is read-only but for /tmp: mount a writable volume at that directory, or have the program write"
        " to /tmp",
    ),
)


def fixes(log: str) -> list[str]:
    """Return the fixes for a service with such a log, the most special first; empty without a known fix."""
    return [fix for words, fix in _NEEDS if re.search(words, log)]
