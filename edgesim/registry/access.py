"""How to reach a registry: whether by TLS, with which certificates, and as whom."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The account at a registry. A text of this object has no secrets.

    Attributes:
        identity_token: an OAuth2 refresh token, which some registries give in place of a password.
    """

    username: str
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to reach a registry.

    Attributes:
        insecure: whether edgesim accepts an unknown certificate, or a registry without TLS.
        authority: a file with the certificates of the authorities that edgesim accepts; None means the system's.
        credentials: reads the account when the registry asks for one; returns None if nobody is logged in.
    """

    registry: str
    insecure: bool
    authority: Path | None = None
    credentials: Callable[[], Credentials | None] = lambda: None


def is_loopback(registry: str) -> bool:
    """Return whether a registry is on this machine: Docker accepts such a registry without TLS."""
    host = registry.rpartition(":")[0] if not registry.endswith("]") and ":" in registry else registry
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
