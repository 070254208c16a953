"""A reader of the documents, who gives every command in them, one after the other.

Jobs run in this process, with configurations of the same names but small sizes, on one volume;
what would need a dataset, an engine or hardware that is not here is checked as far as can be.
`FORMS` says which command is treated how; one that is not there is an error.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess

import needs
import yaml
from export_toy import install_fake
from raw_toy import captions_of, image, write
from toy import ROOT

from jobs.engine import chain, cleaning, command_line
from jobs.engine.contract import read_manifest
from jobs.engine.live import rows_of_jobs
from jobs.engine.sweeps import command as sweeps
from jobs.engine.sweeps.schedule import Outcome
from stackgan.config import load_config
from stackgan.config.loading import to_dict
from stackgan.export import atc
from stackgan.serving.app import create_app
from stackgan.serving.limits import Limits
from stackgan.serving.live import LiveJobs
from stackgan.serving.runs import Runs
from stackgan.serving.service import make_service

PAINTED = 'data/runs/painted-birds'
PLACEHOLDERS = {          # what the documents call files and folders of the reader's
    'FOLDER': PAINTED + '/samples/64',
    'DIR': PAINTED + '/samples/64',
    'images': PAINTED + '/samples/64',
    'model.pb': PAINTED + '/export/stackgan-stage2-b1.pb',
    'model_82000.ckpt': PAINTED + '/export-original-stage1/model.ckpt',
    'results': PAINTED + '/om-check/results',
    '/path/to/my-flowers': 'elsewhere/my-flowers',
    'painted-birds.zip': PAINTED + '/bundle-small/painted-birds.zip',
    'JOB': 'report',
    'PLATFORM': 'cpu',
}
SMALL = ('text', 'model', 'train', 'stage1', 'stage2', 'sample', 'scorer', 'score', 'export',
         'platform')                                # sections that smoke.yaml gives the sizes of
SMALLER = {                                         # and these are smaller still
    'text': {'steps': 2},
    'train': {'log_every_steps': 1, 'sample_every_steps': 2, 'checkpoint_every_steps': 100},
    'stage1': {'epochs': 0.1},
    'stage2': {'epochs': 0.03},
    'sample': {'images': 8},
    'scorer': {'steps': 2},
    'export': {'batch_sizes': [1]},
    'platform': {'threads': 1, 'precision': 'float32'},
}
KEPT = (('scorer', 'split'),)
ELSEWHERE = ('birds', 'flowers', 'flowers-cpu', 'folder', 'folder-cpu', '/srv/birds',     # no data
             'painted-birds-long',                                       # too many to paint here
             'docker', 'platform.device=npu', 'slurm', 'kubernetes',     # no such machine
             'score.judge=judges/mobilenet.tflite', 'score.clip=weights/clip',
             'train.loggers=[mlflow]',
             '--workers', 'platform.workers=4')                          # see test_job_workers.py
AS_THEY_ARE = ('cp', 'mkdir', 'sed', 'ls', 'cat')   # commands of a shell that are simply run


class Reader:
    """Sits in a folder of its own, with `configs/` and `data/`."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch, self.variables = str(folder), monkeypatch, {}
        monkeypatch.chdir(self.folder)
        monkeypatch.setenv('STACKGAN_CONFIG_FOLDER', os.path.join(self.folder, 'configs'))
        monkeypatch.setattr(chain, '_run_process', lambda name, given: command_line.main(
            [name] + list(given)))
        monkeypatch.setattr(sweeps, 'run_here',          # its runs would take minutes
                            lambda sweep, nodes, *more: Outcome({}, list(nodes)))
        monkeypatch.setattr(cleaning, 'clean_containers', lambda environment: 0)
        monkeypatch.setenv('PATH', os.path.join(self.folder, 'bin'), prepend=os.pathsep)
        for name in ('STACKGAN_CONFIG', 'STACKGAN_DATA', 'STACKGAN_SET'):
            monkeypatch.delenv(name, raising=False)

    def give(self, words):
        """Gives a command and returns what it prints. Raises AssertionError."""
        words = [PLACEHOLDERS.get(word, word) for word in words]
        words = [re.sub(r'\$(\w+)', lambda found: self.variables.get(found.group(1), found.group()),
                        word) for word in words]
        for first, form in FORMS:
            if re.match(first, ' '.join(words)):
                return form(self, words)
        raise AssertionError('a command of no known form: add it to FORMS in tests/reader.py, or '
                             'put what is no command into a block ```text')

    def jobs(self, arguments):
        """Runs the command line of the jobs; returns what it prints."""
        output, arguments = io.StringIO(), [_fewer_epochs(word) for word in arguments]
        if arguments[0] == 'run':
            arguments += ['--on', 'local']
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            try:
                code = command_line.main(arguments)
            except SystemExit as done:
                code = done.code
        assert not code, f'exit code {code}: {output.getvalue()}'
        return output.getvalue()


def _fewer_epochs(word):
    """`stage1.epochs=64` with the epochs of `SMALLER`, so that later commands can use the run."""
    found = re.match(r'(stage[12])\.epochs=', word)
    return f'{found.group()}{SMALLER[found.group(1)]["epochs"]}' if found else word


def read_yaml(name):
    with open(os.path.join(ROOT, name)) as stream:
        return yaml.safe_load(stream)


def whole(name):
    """A configuration of the repository with all keys, as nested dicts."""
    return to_dict(load_config(os.path.join(ROOT, 'configs', name)))


def small(config, smoke):
    """A configuration of the repository with sizes that run in seconds."""
    sizes = {section: dict(smoke[section], **SMALLER.get(section, {}))
             for section in SMALL + ('make_dataset',)}
    for section, key in KEPT:
        sizes[section][key] = config[section][key]
    if config['make_dataset'] is None:
        del sizes['make_dataset']
    return dict(config, data=dict(config['data'], workers=1), **sizes)


def settle(folder, monkeypatch):
    """Makes what a reader has who went through the README; returns the `Reader`."""
    folder = str(folder)
    os.makedirs(os.path.join(folder, 'configs'))
    smoke = whole('smoke.yaml')
    for name in os.listdir(os.path.join(ROOT, 'configs')):
        with open(os.path.join(folder, 'configs', name), 'w') as stream:
            yaml.safe_dump(small(whole(name), smoke), stream)
    own = os.path.join(folder, PLACEHOLDERS['/path/to/my-flowers'], 'images')
    for number in range(40):                        # R-precision needs 99 captions of others
        path = os.path.join(own, 'kind%d' % (number % 3), 'picture%02d' % number)
        image(path + '.png', number, **{'width': 400, 'height': 320} if number == 0 else {})
        write(path + '.txt', '\n'.join(captions_of(number, 40)))
    write(os.path.join(folder, 'mine.txt'), 'a red bird\na blue bird\n')
    for name in ('atc', 'msame'):
        install_fake(os.path.join(folder, 'bin'), name)
    reader = Reader(folder, monkeypatch)
    reader.jobs(['run'])
    reader.jobs(['export', '--names', 'original', '--set', 'export.stage=1'])
    for part in ('text-encoder', 'embeddings'):     # which a run of another name would make again
        shutil.copytree(os.path.join(PAINTED, part), os.path.join('data/runs/published', part))
    return reader


def job(reader, words):
    """A job is run where its data can be had here, and planned where not."""
    arguments = words[words.index('jobs') + 1:]
    if arguments[0] == 'serve':                     # it would not end
        command_line._parser().parse_args(arguments)
        return ''
    if any(word in ELSEWHERE or os.path.basename(word)[:-5] in ELSEWHERE for word in arguments):
        return reader.jobs(arguments + ['--dry-run'])
    if arguments[0] != 'clean':
        return reader.jobs(arguments)
    shutil.copytree('data', 'copy')                 # later commands need what it removes
    printed = reader.jobs(arguments)
    shutil.rmtree('data')
    os.rename('copy', 'data')
    return printed


def compose(reader, words):
    """Options must be those of Compose, services those of compose.yaml, the rest a job's."""
    project = read_yaml('compose.yaml')
    words = words[words.index('compose') + 1:]
    profiles = {'*'} | {name for service in project['services'].values()
                        for name in service.get('profiles', ())}
    while words[0] in ('--profile', '-f'):
        if words[0] == '-f':
            assert os.path.exists(os.path.join(ROOT, words[1])), f'no file {words[1]}'
        else:
            assert words[1] in profiles, f'no profile {words[1]} in compose.yaml'
        words = words[2:]
    options, rest = _split_options(words[1:])
    _check_options(words[0], [option for option, _ in options])
    if words[0] != 'run':
        assert set(rest) <= set(project['services']), f'services: {rest}'
        return ''
    service, given = rest[0], [word.replace('/data/', 'data/') for word in rest[1:]]
    assert service in project['services'], f'no service {service} in compose.yaml'
    entry = dict(options).get('--entrypoint', '').split() or project['services'][service][
        'entrypoint']
    if given[:1] == ['-c']:
        return _call([entry[0], '-n'] + given)
    if entry[-1] in ('status', 'logs'):
        return reader.jobs([entry[-1]] + given)
    return reader.jobs([entry[-1]] + given + ['--dry-run'])


def _split_options(words):
    """([(option, value or None)], the words behind them)."""
    options, words = [], list(words)
    while words and words[0].startswith('-'):
        option = words.pop(0)
        takes = option in ('--entrypoint', '-v', '-e', '-u', '-w', '-p', '--name')
        options.append((option, words.pop(0) if takes else None))
    return options, words


def _check_options(subcommand, options):
    """Asks the plugin itself where it is installed."""
    if needs.has_compose():
        done = subprocess.run(['docker', 'compose', subcommand, '--help'], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True)
        for option in options:
            assert re.search(rf'(^|[ ,]){option}\b', done.stdout), f'{subcommand}: no {option}'


def script(reader, words):
    """It is there, it is a program, and it knows the words behind it."""
    while not words[0].startswith('scripts/'):      # sudo, with its options; variables
        words = words[1:]
    path = os.path.join(ROOT, words[0])
    assert os.access(path, os.X_OK), f'{path} is no program'
    with open(path) as stream:
        text = stream.read()
    if 'python' not in text.splitlines()[0]:
        _call(['bash', '-n', path])
    if '"$@"' in text:                              # handed on to Python
        beside = os.path.splitext(path)[0] + '.py'
        text += open(beside).read() if os.path.exists(beside) else ''
    for before, word in zip(words, words[1:]):
        if before == '--set':                       # for the job that the script runs
            load_config(os.path.join(ROOT, 'configs', 'painted-birds.yaml'), [word])
            continue
        is_file = word in PLACEHOLDERS.values() or '.tar' in word
        assert is_file or re.search(rf'(?<![\w-]){re.escape(word)}\b', text), (
            f'{words[0]} knows no {word}')
    return ''


def conversion(reader, words):
    """The words are those that convert-om gives ATC with the paper's dimensions."""
    config = load_config(os.path.join(ROOT, 'configs', 'birds.yaml'), [])
    dims, name = config.model, 'stackgan-stage2-b1'
    inputs = [('embedding', dims.embedding_dim), ('z', dims.noise_dim),
              ('noise1', dims.condition_dim), ('noise2', dims.condition_dim)]
    entry = {'inputs': [{'name': each, 'shape': [1, size]} for each, size in inputs],
             'outputs': [{'name': 'stage%d/generator/images' % stage} for stage in (1, 2)]}
    wanted = atc.arguments(entry, name + '.pb', name, config.export)
    assert words[1:] == wanted, 'convert-om says: {}'.format(' '.join(wanted))
    return ''


def packages(reader, words):
    """Lists of requirements exist, extras are those of pyproject.toml."""
    with open(os.path.join(ROOT, 'pyproject.toml')) as stream:
        extras = re.findall(r'^([\w-]+) = \[', stream.read(), re.M)
    for before, word in zip(words, words[1:]):
        if before == '-r':
            assert os.path.exists(os.path.join(ROOT, word)), word
        for extra in re.findall(r'\.\[([\w,-]+)\]', word):
            assert set(extra.split(',')) <= set(extras), word
    return ''


def request(reader, words):
    """What curl would ask the page of `serve`, which answers it."""
    options = dict(zip(words, words[1:]))
    path = next(word for word in words if word.startswith('http')).split(':8080', 1)[1]
    config = load_config(os.path.join('configs', 'painted-birds.yaml'), [])
    volume = os.path.abspath('data')
    live = LiveJobs(volume, lambda: rows_of_jobs(config, volume))
    service = make_service(Runs(volume, read_manifest), config.platform, Limits(), {},
                           config.run.name, live)
    client = create_app(service).test_client()
    if '-d' in options:
        name, value = options['-H'].split(': ')
        answer = client.post(path, data=options['-d'], headers={name: value})
    else:
        answer = client.get(path)
    service.queue.close(10)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_data(as_text=True)


def assignment(reader, words):
    """A variable for the commands that follow in the document."""
    name, value = words[-1].split('=', 1)
    reader.variables[name] = value
    if words[0] == 'export':
        reader.monkeypatch.setenv(name, value)
    return ''


def as_it_is(reader, words):
    return _call(words)


def _call(words):
    needs.program(words[0])
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


FORMS = (
    (r'(\w+=\S+ )*\S*python -m jobs\b', job),
    (r'stackgan ', lambda reader, words: job(reader, ['jobs'] + words[1:])),
    (r'(\w+=.* )?docker compose ', compose),
    (r'curl ', request),
    (r'(sudo \S+ |\w+=\S+ )*scripts/', script),
    (r'(export )?\w+=\S*$', assignment),
    (r'atc ', conversion),
    (r'(python\S* -m )?pip (install|wheel|download) ', packages),
    (r'({}) '.format('|'.join(AS_THEY_ARE)), as_it_is),
)
