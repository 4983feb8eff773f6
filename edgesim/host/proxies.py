"""Proxies for HTTP: those in an environment, without their passwords, and the one that a failed download names."""

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

# Programs read either spelling; which one wins differs from program to program.
_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY")
VARIABLES = frozenset({*_NAMES, *(name.lower() for name in _NAMES)})


def of(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the proxies of an environment by variable, without user names and passwords; None means edgesim's own."""
    environment = environment if environment is not None else os.environ
    return {
        name: without_password(environment[name])
        for name in sorted(environment)
        if name in VARIABLES and environment[name]
    }


def without_password(url: str) -> str:
    """Return the URL of a proxy without its user name and its password."""
    return re.sub(r"(^|//)[^/@]*@", r"\1", url)


def named_in(log: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the proxy that a program could not get through, by the program's log; None if the log blames none.

    pip says ``ProxyError``; apt names the proxy's host and port as what it cannot connect to.
    """
    names: dict[str, list[str]] = {}
    for name, url in of(environment).items():
        names.setdefault(url, []).append(name)
    proxies = {url: f"{url} ({', '.join(variables)})" for url, variables in names.items()}
    for url, words in proxies.items():
        if urlsplit(url if "//" in url else f"//{url}").netloc in log:
            return words
    if proxies and re.search(r"ProxyError|Cannot connect to proxy|Tunnel connection failed", log):
        return " or ".join(proxies.values())
    return None
