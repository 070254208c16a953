"""A fake of the API server of Kubernetes, for `python -m jobs submit|status|logs`. No cluster.

It keeps objects by kind and name, in one namespace, and answers over HTTP as the real one does for
the few requests that kubectl makes here: create (409 for a second one), get, list by labels, merge
patch, delete (pods go with their Job), logs of a container. It looks at almost nothing that it is
given; the schemas of `kubernetes-validate` are for that. What a cluster would do by itself (a pod
for each completion, states of its containers, the end of a Job) a test asks for by `start_pods`,
`run` and `end`. `fakes/kubectl` is a fake of its client.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

GROUPS = {                                                 # path of a version: its kinds
    '/api/v1': {'configmaps': 'ConfigMap', 'services': 'Service', 'pods': 'Pod',
                'persistentvolumeclaims': 'PersistentVolumeClaim'},
    '/apis/batch/v1': {'jobs': 'Job'},
    '/apis/networking.k8s.io/v1': {'networkpolicies': 'NetworkPolicy'}}
IMMUTABLE = ('Job',)                                       # whose spec cannot be changed
INDEX = 'batch.kubernetes.io/job-completion-index'


class Refusal(Exception):
    def __init__(self, code, reason, message):
        super().__init__(message)
        self.code, self.reason = code, reason


class FakeKubernetes:
    """The objects, and the server in front of them."""

    def __init__(self):
        self.objects, self.logs = {}, {}                   # (plural, name); (pod, container)
        self.requests, self.count = [], 0
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(('127.0.0.1', 0), _handler(self))
        self.address = f'http://127.0.0.1:{self.server.server_address[1]}'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # Requests.

    def create(self, plural, kind, found):
        name = found['metadata']['name']
        if found.get('kind') != kind:
            raise Refusal(400, 'BadRequest', f'{found.get("kind")} is not for {plural}')
        if (plural, name) in self.objects:
            raise Refusal(409, 'AlreadyExists', f'{plural} "{name}" already exists')
        self.count += 1
        found['metadata'].update(
            namespace='default', uid=f'uid-{self.count}', resourceVersion=str(self.count),
            creationTimestamp=f'2026-01-01T00:{self.count // 60:02d}:{self.count % 60:02d}Z')
        found.setdefault('status', {})
        self.objects[plural, name] = found
        return found

    def get(self, plural, name):
        if (plural, name) not in self.objects:
            raise Refusal(404, 'NotFound', f'{plural} "{name}" not found')
        return self.objects[plural, name]

    def list(self, plural, selector):
        wanted = dict(each.split('=', 1) for each in selector.split(',') if each)
        return [found for (kind, _), found in self.objects.items() if kind == plural
                and wanted.items() <= found['metadata'].get('labels', {}).items()]

    def patch(self, plural, name, change):
        found = self.get(plural, name)
        if found['kind'] in IMMUTABLE and 'spec' in change:
            raise Refusal(422, 'Invalid', f'{found["kind"]} "{name}" is invalid: spec: field is '
                                          'immutable')
        _merge(found, change)
        return found

    def delete(self, plural, name):
        found = self.get(plural, name)
        del self.objects[plural, name]
        if plural == 'jobs':
            for each in self.list('pods', 'job-name=' + name):
                del self.objects['pods', each['metadata']['name']]
        return found

    # What a cluster would do.

    def start_pods(self, job):
        """Creates the pods of a Job; returns their names."""
        spec, names = self.objects['jobs', job]['spec'], []
        for index in range(spec.get('completions', 1)):
            labels = dict(spec['template']['metadata']['labels'], **{'job-name': job})
            name = f'{job}-{self.count}'
            if spec.get('completionMode') == 'Indexed':
                labels[INDEX], name = str(index), f'{job}-{index}-{self.count}'
            pod = {'kind': 'Pod', 'metadata': {'name': name, 'labels': labels},
                   'spec': spec['template']['spec']}
            pod['status'] = {'phase': 'Pending', 'conditions': [], **{
                kind + 'Statuses': [{'name': each['name'], 'state': {'waiting': {
                    'reason': 'PodInitializing'}}} for each in pod['spec'][plural]]
                for kind, plural in (('initContainer', 'initContainers'),
                                     ('container', 'containers'))}}
            self.create('pods', 'Pod', pod)
            names.append(name)
        return names

    def run(self, pod, container, code=None, log=''):
        """A container runs, or has ended with a code."""
        state = ({'running': {'startedAt': '2026-01-01T01:00:00Z'}} if code is None else
                 {'terminated': {'exitCode': code}})
        status = self.objects['pods', pod]['status']
        for each in status['initContainerStatuses'] + status['containerStatuses']:
            if each['name'] == container:
                each['state'] = state
        self.logs[pod, container] = log

    def end(self, job, kind, reason='', message=''):
        """A Job is over: 'Complete' or 'Failed'."""
        self.objects['jobs', job]['status'] = {'conditions': [
            {'type': kind, 'status': 'True', 'reason': reason, 'message': message}]}


def _merge(found, change):
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            _merge(found[key], value)
        elif value is None:
            found.pop(key, None)
        else:
            found[key] = value


def _handler(api):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def log_message(self, *arguments):
            pass

        def answer(self):
            size = int(self.headers.get('Content-Length') or 0)
            body = self.rfile.read(size)
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            try:
                with api.lock:
                    api.requests.append((self.command, path))
                    found, code = self.act(path, query, json.loads(body.decode() or 'null')), 200
                code = 201 if self.command == 'POST' else code
            except Refusal as refusal:
                code, found = refusal.code, {
                    'kind': 'Status', 'apiVersion': 'v1', 'status': 'Failure',
                    'reason': refusal.reason, 'message': str(refusal), 'code': refusal.code}
            text = found if isinstance(found, str) else json.dumps(found)
            data = text.encode()
            self.send_response(code)
            self.send_header('Content-Type', 'text/plain' if isinstance(found, str)
                             else 'application/json')
            self.send_header('Content-Length', str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def act(self, path, query, body):
            version = next((each for each in GROUPS if path.startswith(
                each + '/namespaces/default/')), None)
            if version is None:
                raise Refusal(404, 'NotFound', f'{path} is not known to this fake')
            plural, *rest = path[len(version) + len('/namespaces/default/'):].split('/')
            kind = GROUPS[version].get(plural)
            if kind is None:
                raise Refusal(404, 'NotFound', f'{plural} are not known to this fake')
            if self.command == 'POST':
                return api.create(plural, kind, body)
            if not rest:
                return {'kind': kind + 'List', 'apiVersion': version.split('/', 2)[2],
                        'items': api.list(plural, query.get('labelSelector', [''])[0])}
            if rest[1:] == ['log']:
                api.get(plural, rest[0])
                return api.logs.get((rest[0], query['container'][0]), '')
            if self.command == 'PATCH':
                return api.patch(plural, rest[0], body)
            return (api.delete if self.command == 'DELETE' else api.get)(plural, rest[0])

    return Handler
