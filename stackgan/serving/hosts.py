"""The names by which the server may be asked.

A web site can let its own name lead to this machine (DNS rebinding). What a browser then asks here
counts for it as that site's own, so a site could read and generate by its visitors' browsers: the
name a request carries is compared with a list, and never only with what else the request says.
"""

import ipaddress
import re

from stackgan.errors import InputError

LOCAL = ('localhost', '127.0.0.1', '::1')
NAME = re.compile(r'[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z')


def allowed_hosts(
        bound=(),          # names and addresses the server listens at
        added=(),          # what --allow-host adds
):
    """frozenset of the names a request may carry. Raises InputError for what is no name."""
    names = set(LOCAL)
    for text in added:
        name = name_of(text)
        if name is None or _has_port(text):
            raise InputError(f'--allow-host {ascii(text)}: not the name or address of a host; give '
                             f'it without '
                             'http:// and port, as birds.example.org or 192.0.2.7')
        names.add(name)
    names.update(name for name in map(name_of, bound) if name and not _is_any_address(name))
    return frozenset(names)


def name_of(
        host,              # of a header Host: localhost:8080, [::1]:8080, birds.example.org
):
    """The name or address of a Host in its one spelling, or None for what is none."""
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
        host,              # name or address
):
    """As it stands in a URL: an IPv6 address in brackets."""
    return f'[{host}]' if ':' in host else host


def _has_port(text):
    return text.rpartition(']')[2].count(':') == 1


def _is_any_address(name):
    try:
        return ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return False
