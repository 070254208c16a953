"""Worker 0's side of the line to the others: waits for them, watches them, ends them."""

import socket
import subprocess
import threading
import time
from typing import Any, Callable, Dict, List, Optional

from stackgan.errors import InputError, Interrupted, StackganError
from stackgan.platforms.rendezvous import Place
from stackgan.platforms.worker_channel import (
    AGAIN,
    BEAT_SECONDS,
    END_SECONDS,
    Channel,
    Line,
    end_process,
)

LATE_SECONDS = 30.0          # for which a worker 0 that has nothing to do waits for the others


class Peer:
    """Another worker, as worker 0 knows it."""

    def __init__(self, rank: int, host: str, address: str, line: Line) -> None:
        self.rank, self.host, self.address, self.line = rank, host, address, line
        self.heard, self.count = time.monotonic(), 0
        self.digests: Dict[int, List[int]] = {}        # step -> of its variables
        self.parts_done = 0

    def __str__(self) -> str:
        return f'worker {self.rank} on {self.host}'


class Leader(Channel):
    """Worker 0: waits for the others, watches them, ends them."""

    def __init__(
            self,
            place: Place,
            timeout: float,      # seconds
            settings: str,       # digest of the settings that all must have
            leave: Optional[Callable[[str, int], Any]] = None,    # ends the process
    ) -> None:
        super().__init__(place, timeout, settings)
        self.peers: Dict[int, Peer] = {}
        self.children: Dict[int, 'subprocess.Popen[bytes]'] = {}     # that this process started
        self.changed = threading.Condition()
        self.leave, self.is_over = leave or end_process, False
        self.refused = ''
        self.has_gathered = False           # or tried to
        self.parts_begun = 0
        self.own = ''                       # the address at which others reached this worker
        # With children it is on loopback alone, else on all interfaces.
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind((place.host if place.port == 0 else '', place.port))
        except OSError as error:
            raise StackganError(f'worker 0 cannot listen on port {place.port}: {error.strerror}; '
                                'is another training of this machine using it?')
        self.socket.listen(self.size)
        self.port = int(self.socket.getsockname()[1])
        for work, name in ((self._accept, 'accept'), (self._watch, 'watch')):
            threading.Thread(target=work, name='workers-' + name, daemon=True).start()

    def gather(self) -> None:
        """Waits until all are there and lets them begin. Raises StackganError."""
        ends, self.has_gathered = time.monotonic() + self.timeout, True
        with self.changed:
            while len(self.peers) < self.size - 1 and not self.refused:
                dead = [(rank, child.poll()) for rank, child in self.children.items()
                        if child.poll() is not None and rank not in self.peers]
                if dead:
                    raise StackganError(f'worker {dead[0][0]} on {self.host} '
                                        f'{_ending(dead[0][1])} before it began')
                if time.monotonic() > ends:
                    absent = sorted(set(range(1, self.size)) - set(self.peers))
                    raise StackganError(
                        f'{len(absent)} of {self.size} workers have not come within '
                        f'{self.timeout:g} s (platform.worker_timeout): '
                        f'{", ".join(map(str, absent[:8]))}; was each started, and can it reach '
                        f'{self.place.host}:{self.port}?')
                self.changed.wait(0.2)
        if self.refused:
            raise InputError(self.refused)
        self.addresses = [f'{self.own}:{self.hold_port()}'] + [
            self.peers[rank].address for rank in range(1, self.size)]
        self._tell(begin=self.addresses)

    def share_step(self, step: int) -> int:
        self._tell(step=step)
        self.is_stepping = True
        return step

    def compare(self, step: int, names: List[str], digests: List[int]) -> None:
        for peer in [self.peers[rank] for rank in sorted(self.peers)]:
            with self.changed:
                while step not in peer.digests:        # `_watch` ends this if it never comes
                    self.changed.wait(1.0)
                theirs = peer.digests.pop(step)
            wrong = [name for name, a, b in zip(names, digests, theirs) if a != b]
            if wrong or len(theirs) != len(digests):
                raise StackganError(
                    f'{peer} has other parameters than worker 0 at step {step}: '
                    f'{len(wrong)} of {len(names)} variables differ, the first is '
                    f'{wrong[0] if wrong else "not the same"}; its memory or processor may be '
                    f'faulty; {AGAIN}')

    def begin_part(self, task: Dict[str, Any]) -> None:
        if not self.has_gathered:
            self.gather()
        self.parts_begun += 1
        self._tell(task=task)
        self.is_stepping = True

    def finish_part(self) -> None:
        super().finish_part()
        with self.changed:
            while any(peer.parts_done < self.parts_begun for peer in self.peers.values()):
                self.changed.wait(1.0)                 # `_watch` ends this if one never is
        self.rest()

    def end(self, code: int) -> None:
        """Ends all others with an exit code."""
        self.is_over = True
        if not self.has_gathered and self.place.port and code != Interrupted.exit_code:
            self._wait_for_late_ones()
        self._tell(end=code)
        deadline = time.monotonic() + END_SECONDS
        for child in self.children.values():
            try:
                child.wait(max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                child.kill()                           # it may be stopped
                child.wait()
        try:
            self.socket.shutdown(socket.SHUT_RDWR)     # else the waiting `accept` keeps it open
        except OSError:
            pass
        self.socket.close()
        for peer in list(self.peers.values()):
            peer.line.close()

    def _wait_for_late_ones(self) -> None:
        """There was nothing to do together: those that others start would look for this one."""
        ends = time.monotonic() + min(LATE_SECONDS, self.timeout)
        with self.changed:
            while (len(self.peers) < self.size - 1 - self.place.starts      # not started yet
                   and time.monotonic() < ends):
                self.changed.wait(0.2)

    def _tell(self, **message: Any) -> None:
        for peer in list(self.peers.values()):
            peer.line.send(**message)

    def _fail(self, text: str, code: int = StackganError.exit_code) -> None:
        with self.changed:
            if self.is_over:
                return
            self.is_over = True
        self._tell(end=code)
        for child in self.children.values():
            child.kill()
        self.leave(text, code)

    def _accept(self) -> None:
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:                            # closed
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        """Serves one other worker for as long as it lives."""
        connection.settimeout(self.timeout)
        line = Line(connection)
        peer = self._admitted(line.receive(), line)
        if peer is None:
            return line.close()
        connection.settimeout(None)
        while True:
            message = line.receive()
            peer.heard = time.monotonic()
            if message is None:
                return self._fail(f'{peer} {self._fate(peer)}; all workers stop, {AGAIN}')
            if 'failed' in message:
                code = message.get('code')
                return self._fail(f'{peer}: {str(message["failed"])[:500]}',
                                  code if code in (1, 2, 3, 130) else 1)
            if isinstance(message.get('beat'), int):
                peer.count = message['beat']
            if message.get('done') is True:
                with self.changed:
                    peer.parts_done += 1
                    self.changed.notify_all()
            if isinstance(message.get('digests'), list) and isinstance(message.get('step'), int):
                with self.changed:
                    peer.digests[message['step']] = message['digests']
                    self.changed.notify_all()

    def _admitted(self, hello: Optional[Dict[str, Any]], line: Line) -> Optional[Peer]:
        if hello is None or hello.get('token') != self.place.token:
            return None
        rank, port, host = hello.get('rank'), hello.get('port'), str(hello.get('host'))[:64]
        if not isinstance(rank, int) or not isinstance(port, int) or not 0 < rank < self.size:
            return None
        phase = hello.get('phase', 0)
        if phase != self.place.phase:
            # One that comes late to a job that is done goes on to the next; one that is ahead, as
            # when worker 0 was replaced, ends and begins again.
            if isinstance(phase, int) and phase < self.place.phase:
                line.send(end=0)
            return None
        with self.changed:
            if hello.get('settings') != self.settings:
                self.refused = (f'worker {rank} on {host} has another configuration than worker '
                                '0; start all with the same command')
            elif rank in self.peers:
                self.refused = (f'worker {rank} is there twice: on {self.peers[rank].host} and '
                                f'on {host}')
            self.changed.notify_all()
            if self.refused:
                return None
            self.own = line.connection.getsockname()[0]
            peer = Peer(rank, host, f'{line.connection.getpeername()[0]}:{port}', line)
            self.peers[rank] = peer
            return peer

    def _fate(self, peer: Peer) -> str:
        child = self.children.get(peer.rank)
        if child is None:
            return 'is gone'
        try:
            return _ending(child.wait(1.0))
        except subprocess.TimeoutExpired:
            return 'closed its connection'

    def _watch(self) -> None:
        """Sends beats, and looks for workers that are silent or hang."""
        counts, since = [0], time.monotonic()
        while not self.is_over:
            time.sleep(BEAT_SECONDS)
            self._tell(beat=self.count)
            now, peers = time.monotonic(), list(self.peers.values())
            for peer in peers:
                if now - peer.heard > self.timeout:
                    self._fail(f'{peer} has not answered for {self.timeout:g} s '
                               f'(platform.worker_timeout); all workers stop, {AGAIN}')
            found = [self.count] + [peer.count for peer in peers]
            if found != counts or not self.is_stepping:
                counts, since = found, now
            elif now - since > self.timeout:
                self._fail(f'{self._slowest(peers)} made no progress for {self.timeout:g} s '
                           f'(platform.worker_timeout); all workers stop, {AGAIN}')

    def _slowest(self, peers: List[Peer]) -> str:
        """Those for whom the others wait."""
        counts = {f'worker 0 on {self.host}': self.count}
        counts.update({str(peer): peer.count for peer in peers})
        least = min(counts.values())
        slow = [name for name, count in counts.items() if count == least]
        return 'the workers' if len(slow) == len(counts) else ', '.join(slow)


def _ending(code: Optional[int]) -> str:
    if code is not None and code < 0:
        return f'was killed by signal {-code}'
    return f'ended with exit code {code}'
