"""By which names `serve` answers, and how long it listens to those who say little."""

import json
import socket
import threading
import time

import pytest
from serve_toy import RUN, Served
from toy import tiny_config

from stackgan.errors import InputError
from stackgan.serving import connections
from stackgan.serving.app import create_app
from stackgan.serving.hosts import allowed_hosts, name_of, url_host
from stackgan.serving.limits import Limits
from stackgan.serving.runs import Runs
from stackgan.serving.server import Server
from stackgan.serving.service import make_service

REBOUND = 'rebind.attacker.example'


@pytest.fixture(scope='module')
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp('volume')) as server:
        yield server


@pytest.mark.parametrize('host, status', [
    ('localhost', 200), ('127.0.0.1', 200), ('[::1]', 200), ('LocalHost', 200), ('localhost.', 200),
    ('[0:0:0:0:0:0:0:1]', 200), (REBOUND, 421), ('localhost.' + REBOUND, 421), ('0.0.0.0', 421),
    ('192.0.2.1', 421), ('127.0.0.2', 421), ('', 421), ('[::2]', 421), ('[::1', 421),
    ('localhost:x', 421), ('localhost, ' + REBOUND, 421), ('a@localhost', 421), ('\xe9', 421)])
def test_only_names_of_this_machine(served, host, status):
    """Every address, reading as well as generating, whatever origin goes with it."""
    for name in {host, '%s:%d' % (host, served.port)} if host else {host}:
        for path, body in (('/', None), ('/health', None), ('/api/gallery', None),
                           ('/api/runs', None), ('/static/page.css', None), ('/nowhere', None),
                           ('/api/generate', {'run': RUN, 'caption': 'a'})):
            found, _, text = served.ask(path, body, Host=name, Origin='http://' + name)
            assert found == (status if status != 200 or path not in ('/nowhere', '/api/generate')
                             else 404), (path, text)
            if status == 421:
                message = json.loads(text.decode())
                assert list(message) == ['error'] and '--allow-host' in message['error']
                assert '\n' not in message['error']


def test_a_post_of_another_site_or_port_is_refused(served):
    own = 'http://localhost:%d' % served.port
    for host, headers, status in (
            ('localhost:%d', {'Origin': own}, 404), ('localhost:%d', {}, 404),
            ('localhost:%d', {'Origin': own, 'Sec_Fetch_Site': 'same-origin'}, 404),
            ('localhost:%d', {'Origin': own.replace('localhost', '127.0.0.1')}, 403),
            ('localhost:%d', {'Origin': 'http://localhost:1'}, 403),
            ('localhost:%d', {'Sec_Fetch_Site': 'cross-site'}, 403),
            ('localhost:%d', {'Sec_Fetch_Site': 'same-site', 'Origin': own}, 403)):
        found = served.ask('/api/generate', {'run': 'none', 'caption': 'a'},
                           Host=host % served.port, **headers)
        assert found[0] == status, (headers, found)


def test_names_that_are_added(tmp_path):
    with Served(tmp_path, '--allow-host', 'Birds.Example.org', '--allow-host', '2001:db8::7',
                STACKGAN_SERVE_ALLOW_HOSTS='one.example, two.example') as server:
        for host in ('birds.example.org', 'BIRDS.example.org:8443', '[2001:db8:0::7]:80',
                     'one.example', 'two.example', 'localhost'):
            assert server.ask('/health', Host=host)[0] == 200
        for host in ('example.org', 'x.birds.example.org', 'three.example', '192.0.2.7'):
            assert server.ask('/health', Host=host)[0] == 421


@pytest.mark.parametrize('arguments, host, status', [
    ((), REBOUND, 200),                                             # nobody's word: Host counts
    (('--behind-proxy', '192.0.2.1'), REBOUND, 200),                # not that of the one who asks
    (('--behind-proxy', '127.0.0.1'), REBOUND, 421),
    (('--behind-proxy', '127.0.0.1', '--allow-host', 'birds.example'), 'birds.example', 200),
    (('--behind-proxy', '127.0.0.1', '--allow-host', 'birds.example'), REBOUND, 421)])
def test_the_host_a_proxy_tells_is_checked_too(tmp_path, arguments, host, status):
    with Served(tmp_path, *arguments) as server:
        assert server.ask('/health', X_Forwarded_Host=host)[0] == status
        if status == 200 and host != REBOUND:
            found = [server.ask('/api/generate', {'run': 'none', 'caption': 'a'},
                                X_Forwarded_Host=host, X_Forwarded_Proto='https',
                                Origin='https://' + origin)[0]
                     for origin in (host, 'elsewhere.example')]
            assert found == [404, 403]


def test_redirections_stay_where_they_are_asked(served):
    for path in ('/runs/x/report', f'//{REBOUND}/runs/x/report', '/runs//x/report/',
                 '/runs/x/report?a=//b'):
        status, headers, _ = served.ask(path, Host='localhost:%d' % served.port)
        assert status in (308, 404)
        if status == 308:
            assert headers['Location'].startswith('/runs/x/report'), headers
    status, headers, _ = served.ask(f'///{REBOUND}//runs/x/report/')
    assert status == 404 or headers['Location'].startswith('/' + REBOUND)


def test_names_in_their_one_spelling():
    assert name_of('b\xfccher.example') == name_of('XN--bcher-kva.example:1')
    assert name_of('a..b') is None and name_of('a' * 300) is None and name_of('a b') is None
    assert allowed_hosts(['0.0.0.0']) == allowed_hosts(['::']) == allowed_hosts()
    assert allowed_hosts(['192.0.2.7', 'birds']) == allowed_hosts() | {'192.0.2.7', 'birds'}
    for text in ('http://x', 'x:80', '*', '.example.org', '', '[::1]:80', 'x/y'):
        with pytest.raises(InputError, match='--allow-host'):
            allowed_hosts((), [text])
    assert [url_host(host) for host in ('::1', 'a')] == ['[::1]', 'a']


def test_ipv6_addresses_are_shown_as_in_a_url(tmp_path):
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(('::1', 0))
    except OSError:
        pytest.skip('no IPv6 on this machine (sysctl net.ipv6.conf.lo.disable_ipv6=0)')
    with Served(tmp_path, '--host', '::1') as server:
        assert server.url == 'http://[::1]:%d' % server.port
        assert server.ask('/health')[0] == 200


def half_requests(port, number, source='127.0.0.1'):
    """Connections that have sent a half request each."""
    sockets = []
    for _ in range(number):
        one = socket.create_connection(('127.0.0.1', port), timeout=60,
                                       source_address=(source, 0))
        one.sendall(b'GET /health HTTP/1.1\r\nHost: local')
        sockets.append(one)
    return sockets


def are_open(sockets):
    """How many the server has not closed."""
    number = 0
    for one in sockets:
        one.setblocking(False)
        try:
            number += one.recv(1) != b''
        except BlockingIOError:
            number += 1
        except OSError:
            pass
    return number


def test_many_slow_connections_keep_nobody_out(served):
    sockets = half_requests(served.port, 520)
    for source in ('127.0.0.2', '127.0.0.1', '127.0.0.1'):
        assert served.ask('/health', source=source)[0] == 200
    assert 0 < are_open(sockets) <= connections.MAX_OF_ADDRESS
    many = [one for i in range(3, 12) for one in half_requests(served.port, 60, '127.0.0.%d' % i)]
    assert served.ask('/health', source='127.0.0.20')[0] == 200
    assert are_open(many + sockets) <= connections.MAX_CONNECTIONS
    for one in sockets + many:
        one.close()


@pytest.fixture
def impatient(tmp_path, monkeypatch):
    """A server in this process that waits for a moment only."""
    for name in ('READ_SECONDS', 'IDLE_SECONDS', 'SEND_SECONDS'):
        monkeypatch.setattr(connections, name, 0.5)
    service = make_service(Runs(str(tmp_path), lambda folder: None), tiny_config().platform,
                           Limits(), {}, RUN)
    server = Server(create_app(service), service, '127.0.0.1', 0)
    server.start()
    yield server
    server.stop(0)


@pytest.mark.parametrize('first, drip', [
    (b'GET / HTTP/1.1\r\nX: ', b'a'), (b'', b'\r\n'), (b'', b''),
    (b'POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n', b'{')])
def test_what_comes_drop_by_drop_is_not_waited_for(impatient, first, drip):
    with socket.create_connection(('127.0.0.1', impatient.port), timeout=60) as one:
        one.sendall(first)
        stop = threading.Event()

        def keep_dripping():
            try:
                while not stop.wait(0.05):
                    one.sendall(drip)
            except OSError:
                pass

        thread = threading.Thread(target=keep_dripping)
        thread.start()
        try:
            assert one.recv(100) == b''
        except ConnectionResetError:
            pass
        finally:
            stop.set()
            thread.join()


def test_an_answer_that_is_not_taken_is_given_up(impatient):
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(60)
        one.connect(('127.0.0.1', impatient.port))
        one.sendall(b'GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n' * 400)
        channels = impatient._server.active_channels
        while channels:
            time.sleep(0.01)
