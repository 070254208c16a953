"""`serve` as a process: in a real browser, under load, until a signal ends it."""

import http.client
import json
import os
import signal
import socket
import sys
import threading
import time

import needs
import pytest
from browser import Browser
from serve_toy import RUN, Served, make_volume

from jobs.command_line import main
from stackgan.files import digest_of_file, files_below

CAPTION = 'a small red bird with black wings'
MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script> bird'


@pytest.fixture(scope='module')
def volume(tmp_path_factory):
    return make_volume(tmp_path_factory.mktemp('volume'))


@pytest.fixture(scope='module')
def served(volume):
    """A server for a browser, with a trap for anything that would load TensorFlow."""
    trap = volume / 'trap'
    trap.mkdir()
    (trap / 'tensorflow.py').write_text('raise SystemExit("tensorflow was imported")')
    with Served(volume, '--rate', '1000', PYTHONPATH=str(trap)) as server:
        yield server


@pytest.fixture(scope='module')
def shared_browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(shared_browser, served):
    """The page, freshly opened at the width of a desk; nothing may be complained of at the end."""
    shared_browser.requests.clear()
    shared_browser.complaints.clear()
    shared_browser.resize(1200, 900)
    shared_browser.open(served.url + '/')
    yield shared_browser
    assert shared_browser.complaints == []
    assert shared_browser.requests
    assert not [url for url in shared_browser.requests
                if not url.startswith((served.url + '/', 'data:'))]


def fill(browser, caption, seed):
    """Types into the fields, as a visitor would."""
    for id, text in (('caption', caption), ('seed', seed)):
        browser.click('#' + id)
        browser.evaluate('document.getElementById("%s").select()' % id)
        browser.type(text) if text else browser.press('Backspace', 8)


def draw(browser, caption, seed='3'):
    """Draws; the addresses of both pictures."""
    fill(browser, caption, seed)
    browser.evaluate('document.getElementById("progress").textContent = ""')
    browser.click('#draw')
    browser.wait('document.getElementById("progress").textContent === "Done."')
    return browser.evaluate('[...document.querySelectorAll("#result img")].map(one => one.src)')


def text_of(browser, id):
    return browser.evaluate('document.getElementById("%s").textContent' % id)


@needs.browser
def test_a_caption_is_typed_and_its_pictures_are_shown(browser, served):
    assert not browser.evaluate('document.querySelector("#empty").hidden')
    addresses = draw(browser, CAPTION)
    assert browser.evaluate('[...document.querySelectorAll("#result img")].map(one => '
                            '[one.naturalWidth, one.alt, one.checkVisibility()])') == [
        [64, 'Stage-I: ' + CAPTION, True], [256, 'Stage-II: ' + CAPTION, True]]
    assert browser.evaluate('document.querySelector("#empty").hidden')
    first = [served.ask(address[len(served.url):])[2] for address in addresses]
    draw(browser, 'something else')
    again = draw(browser, CAPTION)
    assert first == [served.ask(address[len(served.url):])[2] for address in again]
    other = draw(browser, CAPTION, '4')
    assert first != [served.ask(address[len(served.url):])[2] for address in other]


@needs.browser
def test_the_gallery_shows_what_was_drawn_newest_first(browser):
    draw(browser, 'a yellow bird', '1')
    draw(browser, 'a blue bird', '2')
    shown = browser.evaluate('[...document.querySelectorAll("#gallery .words")].map(one => '
                             'one.textContent).slice(0, 2)')
    assert shown == ['a blue bird', 'a yellow bird']
    browser.call('Page.reload')
    browser.wait('document.readyState === "complete" && !document.querySelector("#empty").hidden')
    browser.click('#gallery li:nth-child(2) a')
    browser.wait('location.search && document.readyState === "complete" && '
                 'document.querySelector("#caption").value === "a yellow bird"')
    assert browser.evaluate('document.querySelector("#seed").value') == '1'
    assert browser.evaluate('document.querySelector("#stage2 img").alt') == 'Stage-II: a yellow bird'


@needs.browser
def test_markup_is_shown_as_text(browser, served):
    title = browser.evaluate('document.title')
    draw(browser, MARKUP)
    for _ in range(2):                          # as drawn by the script, then by the server
        assert text_of(browser, 'said') == MARKUP
        assert browser.evaluate('document.querySelector("#gallery .words").textContent') == MARKUP
        assert browser.evaluate('document.querySelectorAll("main script, main img:not(.drawn)'
                                ':not(#result img)").length') == 0
        assert browser.evaluate('document.title') == title
        browser.open(browser.evaluate('document.querySelector("#gallery a").href'))
        browser.wait('document.getElementById("said").textContent')


@needs.browser
@pytest.mark.parametrize('caption, seed, text', [
    ('   ', '1', 'The caption is empty'),
    ('\U0001f426\U0001f99c', '1', 'Latin letters and digits'),
    (CAPTION, '2147483648', 'seed must be a whole number')])
def test_nonsense_is_answered_in_the_page(browser, caption, seed, text):
    browser.evaluate('document.getElementById("ask").noValidate = true')
    fill(browser, caption, seed)
    browser.click('#draw')
    browser.wait('document.getElementById("message").textContent')
    assert text in text_of(browser, 'message')
    assert not browser.evaluate('document.getElementById("draw").disabled')
    assert [entry for entry in browser.complaints if '400' not in entry] == []
    browser.complaints.clear()                  # Chromium notes every answer of 400 by itself
    assert draw(browser, CAPTION) and text_of(browser, 'message') == ''


@needs.browser
def test_ten_thousand_characters_do_not_fit_the_field(browser):
    fill(browser, 'long ' * 2000, '1')
    assert browser.evaluate('document.getElementById("caption").value.length') == 500


@needs.browser
def test_the_keyboard_is_enough(browser):
    order = []
    for _ in range(5):
        browser.press('Tab', 9)
        order.append(browser.evaluate('document.activeElement.id'))
    assert order == ['caption', 'run', 'seed', 'dice', 'draw']
    browser.evaluate('document.getElementById("dice").focus()')
    seeds = set()
    for _ in range(4):
        browser.press('Enter', 13, '\r')
        seeds.add(browser.evaluate('document.getElementById("seed").value'))
    assert len(seeds) > 1 and all(0 <= int(seed) < 2 ** 31 for seed in seeds)
    browser.evaluate('document.getElementById("caption").focus()')
    browser.type('a bird by the keyboard')
    browser.press('Enter', 13, '\r')
    browser.wait('document.getElementById("said").textContent === "a bird by the keyboard"')


@needs.browser
def test_a_phone_shows_it_without_scrolling_sideways(browser):
    browser.resize(360, 740, mobile=True)
    draw(browser, 'x' * 300 + ' bird')                        # a word that must break
    assert browser.evaluate('innerWidth') == 360
    assert browser.evaluate('document.documentElement.scrollWidth') <= 360
    beyond = browser.evaluate('[...document.querySelectorAll("body *")].filter(one => '
                              'one.getBoundingClientRect().right > 361 && one.checkVisibility() '
                              '&& !one.classList.contains("unseen")).map(one => one.outerHTML)')
    assert beyond == []
    boxes = browser.evaluate('[...document.querySelectorAll("#result img")].map(one => '
                             '[one.getBoundingClientRect().y, one.getBoundingClientRect().width])')
    assert boxes[0][0] == boxes[1][0] and min(boxes[0][1], boxes[1][1]) > 120   # side by side


@needs.browser
def test_the_report_opens_from_the_page(browser):
    browser.click('.runs a')
    browser.wait('document.title === "A report"')
    assert browser.evaluate('getComputedStyle(document.querySelector("p")).color') == (
        'rgb(255, 0, 0)')


@needs.browser
def test_without_a_server_the_page_says_so(shared_browser, volume):
    with Served(volume) as server:
        shared_browser.open(server.url + '/')
        server.stop(signal.SIGTERM)
        fill(shared_browser, CAPTION, '1')
        shared_browser.click('#draw')
        shared_browser.wait('document.getElementById("message").textContent')
        assert 'cannot be reached' in text_of(shared_browser, 'message')
    shared_browser.open('about:blank#')


# Without a browser.

def at_once(server, number, ask):
    """The answers to many requests that start together."""
    answers, barrier = [], threading.Barrier(number)

    def run(i):
        barrier.wait()
        answers.append(ask(i))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_fifty_at_once_are_served_or_politely_refused(volume):
    with Served(volume, '--rate', '40', '--queue', '8') as server:
        answers = at_once(server, 50, lambda i: server.draw(seed=i, count=4))
        statuses = [status for status, _, _ in answers]
        assert len(answers) == 50 and set(statuses) <= {200, 429, 503}
        assert statuses.count(200) >= 8 and statuses.count(429) >= 10
        for status, headers, body in answers:
            if status != 200:
                assert int(headers['Retry-After']) > 0 and json.loads(body.decode())['error']
        status, _, body = server.ask('/health')
        assert status == 200 and json.loads(body.decode())['queue'] == {'length': 0, 'limit': 8}
        code, text = server.stop(signal.SIGTERM)
        assert code == 0 and 'Traceback' not in text


def test_half_requests_and_garbage_do_no_harm(served):
    sockets = []
    for data in (b'', b'\x00\xff\x16\x03', b'GET / HT', b'POST /api/draw HTTP/1.1\r\nHost: a\r\n'
                 b'Content-Type: application/json\r\nContent-Length: 900\r\n\r\n{', b'A' * 40000):
        one = socket.create_connection(('127.0.0.1', served.port))
        try:
            one.sendall(data)
        except OSError:
            pass                                        # refused while it was being sent
        sockets.append(one)
    assert served.ask('/health')[0] == 200
    for one in sockets:
        one.close()
    connection = http.client.HTTPConnection('127.0.0.1', served.port, timeout=30)
    connection.putrequest('POST', '/api/draw')
    connection.putheader('Content-Length', str(1 << 21))
    connection.endheaders(b'x' * 1000)                  # refused before the rest of it is sent
    assert connection.getresponse().status == 413
    connection.close()
    assert served.draw()[0] == 200


@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 0), (signal.SIGHUP, 0),
                                          (signal.SIGINT, 130)])
def test_a_signal_lets_the_drawing_under_way_finish(volume, number, code):
    with Served(volume, '--rate', '1000') as server:
        assert server.draw()[0] == 200                  # loaded
        answers = []

        def keep_asking(seed):
            try:
                while not answers or answers[-1][0] == 200:
                    answers.append(server.draw(seed=seed, count=8))
            except OSError:
                pass                                    # it has stopped

        threads = [threading.Thread(target=keep_asking, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        while not json.loads(server.ask('/health')[2].decode())['queue']['length']:
            time.sleep(0.001)
        server.process.send_signal(number)
        said = iter(server.process.stdout.readline, '')
        assert any('stopping after ' + number.name in line for line in said)
        exit_code, text = server.stop(number)           # impatiently
        for thread in threads:
            thread.join()
        assert exit_code == code, text
        assert text.rstrip().endswith('serve: stopped') and 'Traceback' not in text
        statuses = sorted(status for status, _, _ in answers)
        assert statuses[0] == 200 and set(statuses) <= {200, 503}
        with pytest.raises(OSError):
            server.ask('/health')


def test_the_word_of_a_proxy_counts_only_where_it_is_named(volume):
    def statuses(*arguments):
        with Served(volume, '--rate', '1', *arguments) as server:
            found = []
            for address in ('10.0.0.1', '10.0.0.2'):
                connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
                connection.request('POST', '/api/draw', json.dumps({'run': RUN, 'caption': 'a'}),
                                   {'Content-Type': 'application/json',
                                    'X-Forwarded-For': address})
                found.append(connection.getresponse().status)
                connection.close()
            return found

    assert statuses() == [200, 429]
    assert statuses('--behind-proxy', '127.0.0.1') == [200, 200]


def test_what_cannot_be_started_is_one_line(volume, served, capsys, monkeypatch):
    monkeypatch.setattr(signal, 'sigwait', lambda signals: pytest.fail('it serves'))

    def refused(*arguments):
        code = main(['serve', '--data', str(volume)] + list(arguments))
        text = capsys.readouterr().err
        assert len(text.splitlines()) == 1
        return code, text

    for arguments, text in ((['--port', str(served.port)], 'cannot listen at 127.0.0.1, port '),
                            (['--port', '70000'], '--port 70000: must be 0 to 65535'),
                            (['--host', '203.0.113.1'], 'cannot listen at 203.0.113.1, port 8080: '),
                            (['--rate', '0'], '--rate 0: must be at least 1'),
                            (['--queue', '-1'], '--queue -1: must be at least 1')):
        code, seen = refused(*arguments)
        assert code == 2 and text in seen
    monkeypatch.setitem(sys.modules, 'waitress', None)
    code, seen = refused()
    assert code == 3 and 'install the extra `serve` of pyproject.toml' in seen


def test_the_volume_is_only_read(volume, served):
    """After all of the above."""
    assert served.draw()[0] == 200

    def state():
        return {name: (digest_of_file(os.path.join(str(volume), name)),
                       os.stat(os.path.join(str(volume), name)).st_mtime_ns)
                for name in files_below(str(volume))}

    before = state()
    for path in ('/', '/api/runs', '/runs/%s/report/' % RUN):
        assert served.ask(path)[0] == 200
    assert served.draw(seed=9)[0] == 200 and state() == before
