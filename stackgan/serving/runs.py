"""The runs of a volume: which can generate images, with what, or why not. Only reads."""

import importlib.util
import os
import re
from typing import Any, BinaryIO, Dict, List, NamedTuple, Optional, Tuple

from stackgan.errors import InputError
from stackgan.export.record import FACTS, read_export
from stackgan.files import digest_of
from stackgan.printing import printable
from stackgan.serving.outputs import (
    MANIFEST,
    MAX_REPORT_BYTES,
    PARTS,
    Damaged,
    ManifestReader,
    check_facts,
    open_report_file,
    read_output,
)
from stackgan.text.options import CHAR_CNN_RNN, OPTIONS, SENTENCES, read_options

NO_ENCODER = ('it has no text encoder, so a sentence of yours cannot be embedded; name a published '
              'one with text.weights, or train one, then: ')
HELD_BACK = ('it uses precomputed embeddings that its text encoder did not produce; set '
             'text.weights to the encoder that produced them, then: ')
OTHER_ENCODER = ('its captions were embedded by a different text encoder from the one there now; '
                 'bring it up to date: ')
ODD_NAME = 'its folder name contains control characters or is not UTF-8; rename the folder'
CHECKPOINT = re.compile(r'checkpoints/([0-9]{8})/checkpoint\.json\Z')
MAX_CHECKPOINTS = 50
JOB_OF = {'stage1': 'train-stage1', 'stage2': 'train-stage2', 'text-encoder': 'train-text-encoder',
          'embeddings': 'embed'}               # where it differs from the name of its output


class Run(NamedTuple):
    """A run and what it generates with."""

    name: str
    stages: int = 0                        # 1 or 2; 0: it cannot generate images
    why_not: str = ''                      # why it cannot, and what to do
    note: str = ''                         # for the visitor
    digest: str = ''                       # of what it generates with
    model: Optional[str] = None            # an .onnx file; None: the checkpoint of a stage
    stage_folder: Optional[str] = None     # of that checkpoint
    checkpoint: Optional[str] = None       # its folder; None: the last one
    encoder: Optional[str] = None          # an .onnx file, or the folder of a text encoder
    encoder_kind: str = CHAR_CNN_RNN
    trained_stages: int = 0                # stages of the newest training
    trained_digest: str = ''               # of that training
    trained_on: str = ''                   # digest of the prepared dataset; '': not known
    checkpoints: Tuple[int, ...] = ()      # steps that it can generate with, by `name@step`
    report: Tuple[str, ...] = ()           # files of its report
    faults: Tuple[str, ...] = ()           # what is wrong with it, apart from being unfinished

    @property
    def sides(self) -> List[int]:
        """Side lengths of its images, in pixels."""
        return [64, 256][:self.stages]


class Runs:
    """The current runs of a volume."""

    def __init__(
            self,
            volume: str,  # folder of the data volume
            read_manifest: ManifestReader,
            shows_training_images: bool = True,     # beside generated ones, where asked for
    ) -> None:
        self._folder = os.path.join(volume, 'runs')
        self._prepared = os.path.join(volume, 'prepared')
        self._shows_training_images = shows_training_images
        self._read_manifest = read_manifest
        self._has_tensorflow = importlib.util.find_spec('tensorflow') is not None

    def all(self) -> List[Run]:
        """All runs, sorted by name."""
        return [self._read(name) for name in self._names()]

    def get(self, name: str) -> Optional[Run]:
        """The run of that name, or None. A visitor's text is only compared with existing names.

        `name@step` is the run with a checkpoint of its last stage in place of what it generates
        with otherwise.
        """
        names = self._names()
        if name in names:
            return self._read(name)
        name, _, text = name.rpartition('@')
        run = self._read(name) if name in names else None
        step = next((each for each in run.checkpoints if str(each) == text), None) if run else None
        return self._at(run, step) if run and step is not None else None

    def _at(self, run: Run, step: int) -> Run:
        folder = os.path.join(self._folder, run.name, f'stage{run.trained_stages}')
        return run._replace(
            name=f'{run.name}@{step}', stages=run.trained_stages, model=None, stage_folder=folder,
            checkpoint=os.path.join(folder, 'checkpoints', f'{step:08d}'), checkpoints=(),
            report=(), note='', digest=digest_of([run.digest, run.trained_digest, step]))

    def report_file(
            self,
            run: str,   # its name
            name: str,  # of a file, relative to the report
    ) -> Optional[Tuple[BinaryIO, int]]:
        """(stream, size in bytes) of a file that the job `report` wrote, or None for others."""
        found = self.get(run)
        if found is None or name not in found.report:
            return None
        try:
            stream = open_report_file(self._folder, run, name)
        except (OSError, ValueError):
            return None
        size = os.fstat(stream.fileno()).st_size
        if size > MAX_REPORT_BYTES:
            stream.close()
            return None
        return stream, size

    def prepared_of(self, run: Run) -> Optional[str]:
        """Folder of the prepared dataset that a run was trained on, if the volume has it still."""
        if not run.trained_on or not self._shows_training_images:
            return None
        for name in _folders(self._prepared):
            folder = os.path.join(self._prepared, name)
            try:
                manifest = read_output(folder, self._read_manifest)
            except Damaged:
                continue
            if manifest and manifest.get('content') == run.trained_on:
                return folder
        return None

    def _names(self) -> List[str]:
        return _folders(self._folder)

    def _read(self, name: str) -> Run:
        """A run with damaged outputs cannot generate images, and does not affect others."""
        if printable(name) != name:
            return _bad(printable(name), ODD_NAME)
        try:
            return self._read_whole(name, os.path.join(self._folder, name))
        except Exception as error:         # whatever is wrong there concerns this run alone
            return _bad(name, f'its outputs cannot be read ({type(error).__name__}); delete them '
                              f'and make them again: {_command("run", name)}')

    def _read_whole(self, name: str, folder: str) -> Run:
        made: Dict[str, Any] = {}          # manifest of each part, or None
        faults: Dict[str, str] = {}
        for part in PARTS:
            try:
                made[part] = read_output(os.path.join(folder, part), self._read_manifest)
            except Damaged as error:
                made[part] = None
                faults[part] = _damaged(f'{part}/{MANIFEST}', error, JOB_OF.get(part, part), name)
        trained = made['stage2'] or made['stage1'] or {'request': {}}
        run = Run(name, report=tuple(made['report']['files']) if made['report'] else (),
                  trained_on=str(trained['request'].get('inputs', {}).get('prepared', '')))
        encoder = os.path.join(folder, 'text-encoder')
        if made['text-encoder']:
            run = run._replace(encoder=encoder, encoder_kind=_kind_of(encoder))
        exported = None
        if made['export']:
            try:
                exported = _by_export(run, os.path.join(folder, 'export'), made)
            except (Damaged, InputError, AttributeError, KeyError, TypeError, ValueError):
                faults['export'] = _damaged(f'export/{FACTS}', 'it is not what export writes',
                                            'export', name)
        notes = ([exported.note] if exported and exported.note else []) + list(faults.values())
        run = (exported or run)._replace(faults=tuple(faults.values()), note='; '.join(notes))
        stage = 2 if made['stage2'] or 'stage2' in faults else 1
        run = run._replace(trained_stages=stage)
        if exported:
            return self._with_checkpoints(run, made[f'stage{stage}'])
        damaged = [faults[part] for part in ('export', f'stage{stage}', 'text-encoder',
                                             'embeddings') if part in faults]
        why_not = (''.join(damaged[:1])
                   or _fault_of_training(name, made[f'stage{stage}'])
                   or _fault_of_encoder(name, made['text-encoder'], made['embeddings'])
                   or self._fault_of_machine(name))
        if why_not:
            return run._replace(why_not=why_not, note='')
        run = run._replace(
            stages=stage, stage_folder=os.path.join(folder, f'stage{stage}'),
            digest=digest_of([made[f'stage{stage}']['content'],
                              made['text-encoder']['content']]))
        return self._with_checkpoints(run, made[f'stage{stage}'])

    def _with_checkpoints(self, run: Run, trained: Optional[Dict[str, Any]]) -> Run:
        """The run with its checkpoints, if TensorFlow can generate with them."""
        if not self._has_tensorflow or _fault_of_training(run.name, trained) or trained is None:
            return run
        found = {int(match.group(1)) for match in map(CHECKPOINT.match, trained['files']) if match}
        return run._replace(checkpoints=tuple(sorted(found)[-MAX_CHECKPOINTS:]),
                            trained_digest=str(trained.get('content', '')))

    def _fault_of_machine(self, name: str) -> Optional[str]:
        if self._has_tensorflow:
            return None
        return ('it has no export, and TensorFlow is not installed here; run: '
                + _command('export', name))


def _fault_of_training(name: str, trained: Optional[dict]) -> Optional[str]:
    """Why a stage cannot generate single images, or None."""
    if not trained:
        return 'it has no finished training and no export'
    compat = (trained.get('notes') or {}).get('compat')          # of an import
    if compat:
        return (f'it was imported with --compat {printable(str(compat))[:60]}, which generates '
                f'only whole batches; import it without, or: {_command("sample", name)}')
    return None


def _fault_of_encoder(name: str, encoder: Optional[dict],
                      embeddings: Optional[dict]) -> Optional[str]:
    """Why the text encoder of a run does not fit its generators, or None."""
    if not encoder:
        return NO_ENCODER + _command('run', name)
    if not embeddings:                                # an import may do without a dataset
        return None
    embedded_by = embeddings['request']['inputs'].get('text-encoder')
    if embedded_by is None:                           # precomputed: a published encoder fits them
        is_published = 'text.weights' in encoder['request']['settings']
        return None if is_published else HELD_BACK + _command('run', name)
    return None if embedded_by == encoder['content'] else OTHER_ENCODER + _command('run', name)


def _by_export(run: Run, folder: str, made: Dict[str, Any]) -> Optional[Run]:
    """The run with its ONNX files, or None where they are incomplete.

    Raises one of several errors where export.json is damaged.
    """
    check_facts(os.path.join(folder, FACTS))
    facts = read_export(folder)
    models = [each for each in facts['models'] if 'onnx' in each]
    if not models:
        return None

    def path_of(facts: Dict[str, Any]) -> str:
        """Path of a file beside export.json that the manifest lists."""
        if facts['file'] not in made['export']['files'] or os.path.basename(
                facts['file']) != facts['file']:
            raise ValueError('export.json names another file')
        return os.path.join(folder, facts['file'])

    if facts.get('text_encoder') and facts['text_encoder'].get('kind') != SENTENCES:
        encoder, kind = path_of(facts['text_encoder']), CHAR_CNN_RNN
    elif run.encoder and run.encoder_kind != CHAR_CNN_RNN:       # which needs no TensorFlow
        encoder, kind = run.encoder, run.encoder_kind
    else:
        return None
    stage = facts['stage']
    if type(stage) is not int or stage not in (1, 2):
        raise ValueError('export.json has another stage')
    smallest = min(models, key=lambda each: each['batch_size'])
    trained = made[f'stage{stage}']
    inputs = made['export']['request']['inputs']
    is_old = trained and trained['content'] != inputs.get('stage')
    return run._replace(
        stages=stage, model=path_of(smallest['onnx']), encoder=encoder, encoder_kind=kind,
        note='its export is older than its training' if is_old else '',
        digest=digest_of([made['export']['content'],
                          (made['text-encoder'] or {}).get('content')]))


def _command(job: str, name: str) -> str:
    """What to run to make an output of a run."""
    return f'python -m jobs {job} --set run.name={name}'


def _damaged(path: str, fault: object, job: str, name: str) -> str:
    return (f'{path} cannot be used: {fault}; delete that output and make it again: '
            f'{_command(job, name)}')


def _folders(folder: str) -> List[str]:
    """Names of the folders in a folder, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted(each.name for each in entries
                          if not each.name.startswith('.') and _is_folder(each))
    except OSError:
        return []


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:                                   # a loop of links
        return False


def _bad(name: str, fault: str) -> Run:
    return Run(name, why_not=fault, faults=(fault,))


def _kind_of(folder: str) -> str:
    try:
        check_facts(os.path.join(folder, OPTIONS))
        return read_options(folder)['kind']
    except (Damaged, InputError):                    # reported by the first request
        return CHAR_CNN_RNN
