"""A headless Chromium for tests, spoken to by the DevTools protocol over two pipes.

No driver program whose version must match, and no port: Chromium reads commands from descriptor 3
and writes answers and events to 4, as JSON that ends with a zero byte.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

import needs

PROGRAM = needs.first_program(*needs.BROWSERS)
FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--disable-extensions', '--hide-scrollbars', '--remote-debugging-pipe']
SECONDS = 30               # for an answer, or until something holds


class Browser:
    """One page of a browser with a new profile. Use as a context manager."""

    def __init__(self):
        self.profile = tempfile.mkdtemp()
        read_commands, self.commands = os.pipe()
        self.answers, write_answers = os.pipe()
        shell = 'exec "$@" 3<&%d 4>&%d' % (read_commands, write_answers)
        self.process = subprocess.Popen(
            ['bash', '-c', shell, 'browser', PROGRAM, '--user-data-dir=' + self.profile] + FLAGS
            + ['about:blank'], pass_fds=(read_commands, write_answers),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(read_commands)
        os.close(write_answers)
        self.rest, self.number, self.session = b'', 0, None
        self.requests, self.complaints = [], []       # addresses asked for; errors of the console
        target = next(each for each in self.call('Target.getTargets')['targetInfos']
                      if each['type'] == 'page')
        self.session = self.call('Target.attachToTarget', targetId=target['targetId'],
                                 flatten=True)['sessionId']
        for part in ('Page', 'Runtime', 'Network', 'Log'):
            self.call(part + '.enable')

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.kill()
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, **parameters):
        """The result of a command of the protocol."""
        answer = self._ask(method, parameters)
        assert 'error' not in answer, (method, answer['error'])
        return answer['result']

    def _ask(self, method, parameters):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters}
        if self.session:
            message['sessionId'] = self.session
        data = json.dumps(message).encode() + b'\0'
        while data:
            data = data[os.write(self.commands, data):]
        while True:
            answer = self._read()
            if answer.get('id') == self.number:
                return answer

    def _read(self):
        while b'\0' not in self.rest:
            assert select.select([self.answers], [], [], SECONDS)[0], 'the browser does not answer'
            block = os.read(self.answers, 1 << 16)
            assert block, 'the browser has ended'
            self.rest += block
        message, self.rest = self.rest.split(b'\0', 1)
        message = json.loads(message.decode())
        self._note(message.get('method'), message.get('params'))
        return message

    def _note(self, method, parameters):
        if method == 'Network.requestWillBeSent':
            self.requests.append(parameters['request']['url'])
        elif method == 'Runtime.exceptionThrown':
            self.complaints.append(parameters['exceptionDetails']['text'])
        elif method == 'Runtime.consoleAPICalled' and parameters['type'] in ('error', 'warning'):
            self.complaints.append(str(parameters['args']))
        elif method == 'Log.entryAdded' and parameters['entry']['level'] in ('error', 'warning'):
            entry = parameters['entry']
            self.complaints.append('{}: {}'.format(entry.get('url'), entry['text']))

    def open(self, url):
        """Opens a page and waits until it is loaded."""
        self.call('Page.navigate', url=url)
        self.wait('document.readyState === "complete" && location.href !== "about:blank"')

    def evaluate(self, script):
        """The value of JavaScript, by the debugger: the page's policy does not bind it."""
        done = self.call('Runtime.evaluate', expression=script, returnByValue=True,
                         awaitPromise=True)
        assert 'exceptionDetails' not in done, (script, done['exceptionDetails'])
        return done['result'].get('value')

    def wait(self, script):
        """Waits until JavaScript gives something true; its value."""
        end = time.time() + SECONDS
        while True:                             # an error: the page is being left
            answer = self._ask('Runtime.evaluate', {'expression': script, 'returnByValue': True})
            value = answer.get('result', {}).get('result', {}).get('value')
            if value:
                return value
            assert time.time() < end, (f'never true: {script}', answer)
            time.sleep(0.02)

    def type(self, text):
        """Types into what has the focus."""
        self.call('Input.insertText', text=text)

    def press(self, key, code, character=None):
        """Presses a key, with the code of Windows for it."""
        more = {'text': character} if character else {}
        for kind in ('keyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code, **(more if kind == 'keyDown' else {}))

    def click(self, selector):
        """Clicks where an element is."""
        x, y = self.evaluate(
            f'(() => {{const it = document.querySelector({json.dumps(selector)}); '
            f'it.scrollIntoView({{block: "center"}});'
            'const box = it.getBoundingClientRect();'
            'return [box.x + box.width / 2, box.y + box.height / 2]})()')
        for kind in ('mousePressed', 'mouseReleased'):
            self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def resize(self, width, height, mobile=False):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height,
                  deviceScaleFactor=1, mobile=mobile)

    def screenshot(self, path):
        """Writes the whole page as PNG."""
        data = self.call('Page.captureScreenshot', captureBeyondViewport=True)['data']
        with open(str(path), 'wb') as stream:
            stream.write(base64.b64decode(data))
