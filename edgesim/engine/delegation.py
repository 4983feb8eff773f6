"""Control groups of an engine without root: which limits its user may set, and what lets the user set the others."""

from edgesim.engine.engine_facts import EngineFacts

# How the user's own systemd gets all controllers of control groups (systemd.resource-control(5), user@.service(5)).
DELEGATE = (
    "for an engine without root: sudo mkdir -p /etc/systemd/system/user@.service.d; printf "
    "'[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf; "
    "sudo systemctl daemon-reload; then log in again"
)
# The only way to limits without root on a host with control groups v1 (systemd(1), kernel command line).
VERSION_2 = (
    "an engine without root limits nothing on control groups v1: boot with systemd.unified_cgroup_hierarchy=1, or use "
    "an engine that runs as root (DOCKER_HOST)"
)
# How crun and runc refuse a limit whose controller the user does not have: github.com/containers/podman, issues 7959,
# 8914 and 11563, and crun 1.21: "controller `io` is not available under …". Docker's driver discards such a limit, and
# warns.
_REFUSALS = (
    "requested cgroup controller",
    "is not available under /sys/fs/cgroup",
    "cpu.max",
    "cpuset.cpus",
    "io.max",
    "memory.max",
    "pids.max",
    "cgroup.subtree_control",
    "no permission is granted for cgroups",
)


def remedy(facts: EngineFacts) -> str:
    """Return what lets an engine set the limits that it cannot set."""
    return VERSION_2 if facts.rootless and facts.cgroup_version == "1" else DELEGATE


def is_refusal(text: str) -> bool:
    """Return whether an engine that gives this reason may not set a limit."""
    return any(words in text for words in _REFUSALS)
