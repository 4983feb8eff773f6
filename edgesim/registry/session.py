"""Requests to one registry: scheme, accounts and tokens, and errors in words.

The protocol is the OCI's distribution specification 1.1, https://github.com/opencontainers/distribution-spec; the
tokens are those of https://distribution.github.io/distribution/spec/auth/token/.
"""

import base64
import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

import orjson
import requests
import urllib3
from requests import PreparedRequest, Response

from edgesim.errors import EdgesimError, NotPublished, RegistryDenied, RegistryError
from edgesim.registry.access import Access, Credentials, is_loopback
from edgesim.registry.reference import DOCKER_HUB
from edgesim.version import __version__

Body = Callable[[], IO[bytes] | bytes]

_CONNECT_S, _READ_S = 10.0, 120.0
_HUB = "registry-1.docker.io"
# A parameter of WWW-Authenticate, RFC 9110, 11.6.1.
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_MOST_DOCUMENT = 4 << 20
_MOST_WORDS = 200
# OpenSSL's words for an answer that is no TLS, by release.
_NO_TLS = re.compile(r"wrong version number|record layer failure|unknown protocol|http request", re.IGNORECASE)


class Session:
    """Requests about one repository of one registry.

    Raises on construction:
        RegistryError: the registry does not answer.
    """

    def __init__(self, access: Access, repository: str) -> None:
        self._access, self._repository = access, repository
        self._http = requests.Session()
        self._http.headers["User-Agent"] = f"edgesim/{__version__}"
        self._http.trust_env = not is_loopback(access.registry)  # no proxy leads to this machine
        self._authorization: str | None = None
        self._account: Credentials | None = None
        host = _HUB if access.registry == DOCKER_HUB else access.registry
        self._http.verify = str(access.authority) if access.authority is not None else not access.insecure
        self._base = f"https://{host}"
        self._is_known = not access.insecure
        self._host = host

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        expected: Collection[int],
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> Response:
        """Send a request and return the answer; log in if the registry asks for an account.

        Args:
            path: below ``/v2/NAME/``, or a URL that the registry gave.
            expected: status codes that the caller handles.
            body: opens the content to send, anew for each attempt.
            stream: let the caller read the answer's body, which may have any size.

        Raises:
            RegistryDenied: the account lacks the permission; NotPublished: the registry lacks the content;
            RegistryError: the registry does not answer, breaks off, or fails.
        """
        url = self._url(path)
        answer = self._once(method, url, body, headers)
        if answer.status_code == 401 and self._log_in(answer.headers.get("WWW-Authenticate", ""), method):
            answer.close()
            answer = self._once(method, url, body, headers)
        if answer.status_code not in expected:
            raise self._refused(answer, method)
        if not stream:
            self.document(answer)  # read to its end, the connection can take the next request
        return answer

    def document(self, answer: Response) -> bytes:
        """Return the body of a small answer.

        Raises:
            RegistryError: the body is too large, or breaks off.
        """
        with self._translated("reading from"):
            data = answer.raw.read(_MOST_DOCUMENT + 1, decode_content=True)
        if len(data) > _MOST_DOCUMENT:
            raise RegistryError(f"registry {self._access.registry}: a document larger than {_MOST_DOCUMENT >> 20} MiB")
        return bytes(data)

    def chunks(self, answer: Response, size: int) -> Iterator[bytes]:
        """Yield the body of a large answer, in chunks of `size` bytes.

        Raises:
            RegistryError: the body breaks off.
        """
        with self._translated("reading from"):
            yield from answer.iter_content(size)

    def _url(self, path: str) -> str:
        if not self._is_known:
            self._find_scheme()
        return urljoin(f"{self._base}/v2/{self._repository}/", path)

    def _find_scheme(self) -> None:
        """Find out whether a registry that may lack TLS has TLS, and use it then, as Docker does."""
        self._is_known = True
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        try:
            self._http.get(f"{self._base}/v2/", timeout=(_CONNECT_S, _READ_S), auth=_no_netrc).close()
        except requests.RequestException:
            self._base = f"http://{self._host}"

    def _once(self, method: str, url: str, body: Body | None, headers: Mapping[str, str] | None) -> Response:
        def authorize(request: PreparedRequest) -> PreparedRequest:
            # The account is for the registry alone, and not for a store elsewhere to which the registry redirects.
            if self._authorization is not None and urlsplit(request.url or "").netloc == urlsplit(self._base).netloc:
                request.headers["Authorization"] = self._authorization
            return request

        with self._translated("sending to" if body is not None else "asking"), contextlib.ExitStack() as stack:
            data = body() if body is not None else None
            if data is not None and not isinstance(data, bytes):
                stack.enter_context(data)
            return self._http.request(
                method,
                url,
                data=data,
                headers={"Accept-Encoding": "identity", **(headers or {})},
                auth=authorize,
                stream=True,
                timeout=(_CONNECT_S, _READ_S),
            )

    def _log_in(self, challenge: str, method: str) -> bool:
        """Get the authorization that the registry asks for; return whether another attempt makes sense."""
        kind, _, rest = challenge.partition(" ")
        facts: Mapping[str, str] = dict(_PARAMETER.findall(rest))
        self._account = self._access.credentials()
        if kind.lower() == "basic" and self._account is not None:
            before = self._authorization
            login = f"{self._account.username}:{self._account.password}".encode()
            self._authorization = f"Basic {base64.b64encode(login).decode()}"
            return self._authorization != before
        if kind.lower() != "bearer" or not facts.get("realm"):
            return False
        actions = "pull" if method in ("GET", "HEAD") else "pull,push"
        self._authorization = f"Bearer {self._token(facts, actions)}"
        return True

    def _token(self, facts: Mapping[str, str], actions: str) -> str:
        """Return a token from the service that the registry names.

        Raises:
            RegistryDenied: the service refuses the account.
        """
        realm, account = facts["realm"], self._account
        if account is not None and urlsplit(realm).scheme != "https" and self._base.startswith("https"):
            raise RegistryDenied(
                f"registry {self._access.registry}: asks to send the account without TLS to {urlsplit(realm).netloc}",
                fix="ask the registry's administrator",
            )
        scope = facts.get("scope") or f"repository:{self._repository}:{actions}"
        asked = {"service": facts.get("service") or "", "scope": scope}
        with self._translated("logging in at"):
            if account is not None and account.identity_token:
                form = {**asked, "grant_type": "refresh_token", "client_id": "edgesim"}
                answer = self._http.post(
                    realm,
                    data={**form, "refresh_token": account.identity_token},
                    auth=_no_netrc,
                    timeout=(_CONNECT_S, _READ_S),
                )
            else:
                login: Any = (account.username, account.password) if account is not None else _no_netrc
                answer = self._http.get(realm, params=asked, auth=login, timeout=(_CONNECT_S, _READ_S))
        if answer.status_code in (400, 401, 403):
            raise self._denied()
        try:
            token = answer.json() if answer.status_code == 200 else {}
            return str(token.get("token") or token["access_token"])
        except (ValueError, KeyError, AttributeError) as error:
            raise RegistryError(
                f"registry {self._access.registry}: no token from {urlsplit(realm).netloc}: status {answer.status_code}"
            ) from error

    def _refused(self, answer: Response, method: str) -> EdgesimError:
        status, registry, words = answer.status_code, self._access.registry, ""
        with contextlib.suppress(RegistryError):
            words = _words(self.document(answer))
        if status in (401, 403):
            return self._denied(words)
        if status == 404 and method in ("GET", "HEAD"):
            return NotPublished(
                f"registry {registry}: has no such thing in {self._repository}{words}",
                fix="check the name and the digest: they are printed when something is pushed",
            )
        if status == 429:
            return RegistryError(
                f"registry {registry}: too many requests{words}", fix=f"wait a while, or docker login {registry}"
            )
        return RegistryError(
            f"registry {registry}: answers {method} for {self._repository} with status {status}{words}",
            fix="run the command again; if the status stays, ask the registry's administrator",
        )

    def _denied(self, words: str = "") -> RegistryDenied:
        registry = self._access.registry
        login = f"docker login {registry}" if registry != DOCKER_HUB else "docker login"
        if self._account is None:
            return RegistryDenied(
                f"registry {registry}: refuses {self._repository}, without an account{words}", fix=login
            )
        return RegistryDenied(
            f"registry {registry}: refuses {self._repository} to the account {self._account.username}{words}",
            fix=f"{login}, as somebody who may use {self._repository}",
        )

    @contextlib.contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        """Translate the errors of the HTTP client in the block."""
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
            raise self._broken(error, doing) from error

    def _broken(self, error: BaseException, doing: str) -> RegistryError:
        registry, text = self._access.registry, " ".join(str(error).split())
        if isinstance(error, requests.exceptions.SSLError) and _NO_TLS.search(text):
            return RegistryError(
                f"registry {registry}: answers without TLS",
                fix=f'if that is right, add "{registry}" to "insecure-registries" in /etc/docker/daemon.json, and'
                " restart Docker",
            )
        if isinstance(error, requests.exceptions.SSLError):
            return RegistryError(
                f"registry {registry}: this host does not trust its certificate",
                fix=f"put the certificate of the registry's authority into /etc/docker/certs.d/{registry}/ca.crt",
            )
        if "Name or service not known" in text or "NameResolution" in text or "name resolution" in text:
            return RegistryError(
                f"registry {registry}: there is no host of this name", fix="check the name, and the network"
            )
        if isinstance(error, requests.exceptions.ConnectTimeout) or "Connection refused" in text:
            return RegistryError(f"registry {registry}: does not answer", fix="check the name and the port")
        if isinstance(error, requests.exceptions.ProxyError):
            return RegistryError(f"registry {registry}: the proxy does not let edgesim through", fix="set NO_PROXY")
        if isinstance(error, requests.exceptions.Timeout | TimeoutError):
            return RegistryError(
                f"registry {registry}: no answer within {_READ_S:.0f} s while {doing} it", fix="run the command again"
            )
        return RegistryError(
            f"registry {registry}: the connection broke while {doing} it",
            fix="run the command again: it does not send finished parts again",
        )


def _no_netrc(request: PreparedRequest) -> PreparedRequest:
    """Leave a request as it is; without an `auth` of its own, a request would take an account from ``~/.netrc``."""
    return request


def _words(body: bytes) -> str:
    """Return the messages of a registry's error after a colon; empty without any."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        errors = orjson.loads(body)["errors"]
        texts = [str(each.get("message") or each.get("code") or "") for each in errors]
        joined = "; ".join(dict.fromkeys(text for text in texts if text))
        return f": {joined[:_MOST_WORDS]}" if joined else ""
    return ""
