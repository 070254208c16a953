"""The Host names that the server answers to.

A website can point its own name to this machine (DNS rebinding). The browser then treats responses
from here as that site's own, so the site could read and generate through its visitors' browsers.
Therefore the Host header is compared with a list, not only with other headers.
"""

import ipaddress
import re
from typing import FrozenSet, Iterable, Optional

from stackgan.errors import InputError

LOCAL = ('localhost', '127.0.0.1', '::1')
NAME = re.compile(r'[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z')


def allowed_hosts(
        bound: Iterable[str] = (),  # names and addresses the server listens on
        added: Iterable[str] = (),  # by --allow-host
) -> FrozenSet[str]:
    """The Host names that are answered. Raises InputError for an invalid name."""
    names = set(LOCAL)
    for text in added:
        name = name_of(text)
        if name is None or _has_port(text):
            raise InputError(f'--allow-host {ascii(text)}: not the name or address of a host; give '
                             f'it without http:// and port, as birds.example.org or 192.0.2.7')
        names.add(name)
    names.update(name for name in map(name_of, bound) if name and not _is_any_address(name))
    return frozenset(names)


def name_of(
        host: str,  # a Host header: localhost:8080, [::1]:8080, birds.example.org
) -> Optional[str]:
    """The name or address in canonical spelling, or None for an invalid header."""
    if host.startswith('['):
        name, bracket, port = host[1:].partition(']')
        if not bracket or ':' not in name or not re.match(r'(:\d*)?\Z', port):
            return None
    elif host.count(':') == 1:
        name, _, port = host.partition(':')
        if not re.match(r'\d*\Z', port):
            return None
    else:
        name = host
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        name = name.encode('idna').decode('ascii').lower()
    except UnicodeError:
        return None
    name = name[:-1] if name.endswith('.') else name
    return name if NAME.match(name) and len(name) <= 253 else None


def url_host(
        host: str,  # name or address
) -> str:
    """As written in a URL: an IPv6 address in brackets."""
    return f'[{host}]' if ':' in host else host


def _has_port(text: str) -> bool:
    return text.rpartition(']')[2].count(':') == 1


def _is_any_address(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return False
