"""Proxies in an environment, and the one that a failed download names."""

import pytest

from edgesim.host import proxies

PROXY = "http://proxy.example:3128"


def test_proxies_of_an_environment_have_no_passwords() -> None:
    environment = {
        "HTTP_PROXY": "http://ann:secret@proxy.example:3128",
        "https_proxy": PROXY,
        "NO_PROXY": "x",
        "A": "b",
    }
    assert proxies.of(environment) == {"HTTP_PROXY": PROXY, "https_proxy": PROXY}
    assert proxies.of({"HTTP_PROXY": ""}) == {}
    assert proxies.without_password("ann:secret@proxy.example:3128") == "proxy.example:3128"


@pytest.mark.parametrize(
    "log",
    [
        "WARNING: Retrying after connection broken by 'ProxyError('Cannot connect to proxy.', New())'",
        "E: Failed to fetch http://mirror.example/dists/x/InRelease  Unable to connect to proxy.example:3128:",
        "OSError('Tunnel connection failed: 407 Proxy Authentication Required')",
    ],
)
def test_proxy_that_a_download_could_not_get_through_is_named_with_its_variables(log: str) -> None:
    environment = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY}
    assert proxies.named_in(log, environment) == f"{PROXY} (HTTPS_PROXY, HTTP_PROXY)"
    assert proxies.named_in(log, {}) is None


def test_failure_that_has_nothing_to_do_with_the_proxy_does_not_name_it() -> None:
    assert proxies.named_in("ERROR: No matching distribution found for httptools", {"HTTP_PROXY": PROXY}) is None
