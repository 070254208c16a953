"""The runs of a volume: what can generate images each, by what, or why not. Only reads."""

import importlib.util
import os
from typing import NamedTuple, Optional, Tuple

from stackgan.errors import InputError
from stackgan.export.record import FACTS, read_export
from stackgan.files import digest_of
from stackgan.printing import printable
from stackgan.serving.outputs import (
    MANIFEST,
    MAX_REPORT_BYTES,
    PARTS,
    Damaged,
    check_facts,
    open_report_file,
    read_output,
)
from stackgan.text.options import CHAR_CNN_RNN, OPTIONS, read_options

RUN = 'python -m jobs %s --set run.name=%s'
NO_ENCODER = ('it has no text encoder, so a sentence of yours cannot be embedded; name a published '
              'one with text.weights, or train one, then: ' + RUN)
HELD_BACK = ('it uses precomputed embeddings that its text encoder did not produce; set '
             'text.weights to the encoder that produced them, then: ' + RUN)
OTHER_ENCODER = ('its captions were embedded by another text encoder than the one that is there '
                 'now; bring it up to date: ' + RUN)
ODD_NAME = 'its folder name contains control characters or is not UTF-8; rename the folder'
DAMAGED = '%s cannot be used: %s; delete that output and make it again: ' + RUN
JOB_OF = {'stage1': 'train-stage1', 'stage2': 'train-stage2', 'text-encoder': 'train-text-encoder',
          'embeddings': 'embed'}               # where it has another name than its output


class Run(NamedTuple):
    """What a run has to generate with."""

    name: str
    stages: int = 0                        # 1 or 2; 0: it cannot generate images
    why_not: str = ''                      # then why, and what to do
    note: str = ''                         # what a visitor may want to know
    digest: str = ''                       # of what it generates with
    model: Optional[str] = None            # an .onnx; None: the checkpoint of a stage
    stage_folder: Optional[str] = None     # of that checkpoint
    encoder: Optional[str] = None          # an .onnx, or the folder of a text encoder
    encoder_kind: str = CHAR_CNN_RNN
    report: Tuple[str, ...] = ()           # files of its report
    faults: Tuple[str, ...] = ()           # what is wrong with it, beside being unfinished

    @property
    def sides(self):
        """Sides of its images, in pixels."""
        return [64, 256][:self.stages]


class Runs:
    """The runs of a volume as they are now."""

    def __init__(
            self,
            volume,            # folder of the data volume
            read_manifest,     # (folder) -> manifest of a finished output, or None
    ):
        self._folder = os.path.join(volume, 'runs')
        self._read_manifest = read_manifest
        self._has_tensorflow = importlib.util.find_spec('tensorflow') is not None

    def all(self):
        """[Run], by name."""
        return [self._read(name) for name in self._names()]

    def get(self, name):
        """The `Run` of a name, or None. What a visitor sends is only compared with the names."""
        return self._read(name) if name in self._names() else None

    def report_file(
            self,
            run,               # its name
            name,              # of a file, relative to the report
    ):
        """(stream, bytes) of a file that the job `report` wrote, or None for anything else."""
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

    def _names(self):
        try:
            with os.scandir(self._folder) as entries:
                return sorted(each.name for each in entries
                              if not each.name.startswith('.') and _is_folder(each))
        except OSError:
            return []

    def _read(self, name):
        """One whose outputs are odd cannot generate images, and troubles no other."""
        if printable(name) != name:
            return _bad(printable(name), ODD_NAME)
        try:
            return self._read_whole(name, os.path.join(self._folder, name))
        except Exception as error:         # whatever is written there, it is of this run alone
            return _bad(name, 'its outputs cannot be read ({}); delete them and make them again: {}'.format(type(error).__name__, RUN % ('run', name)))

    def _read_whole(self, name, folder):
        made, faults = {}, {}
        for part in PARTS:
            try:
                made[part] = read_output(os.path.join(folder, part), self._read_manifest)
            except Damaged as error:
                made[part] = None
                faults[part] = DAMAGED % (part + '/' + MANIFEST, error,
                                          JOB_OF.get(part, part), name)
        run = Run(name, report=tuple(made['report']['files']) if made['report'] else ())
        encoder = os.path.join(folder, 'text-encoder')
        if made['text-encoder']:
            run = run._replace(encoder=encoder, encoder_kind=_kind_of(encoder))
        exported = None
        if made['export']:
            try:
                exported = _by_export(run, os.path.join(folder, 'export'), made)
            except (Damaged, InputError, AttributeError, KeyError, TypeError, ValueError):
                faults['export'] = DAMAGED % ('export/' + FACTS, 'it is not what export writes',
                                              'export', name)
        notes = ([exported.note] if exported and exported.note else []) + list(faults.values())
        run = (exported or run)._replace(faults=tuple(faults.values()), note='; '.join(notes))
        if exported:
            return run
        stage = 2 if made['stage2'] or 'stage2' in faults else 1
        damaged = [faults[part] for part in ('export', 'stage%d' % stage, 'text-encoder',
                                             'embeddings') if part in faults]
        why_not = (''.join(damaged[:1])
                   or _fault_of_training(name, made['stage%d' % stage])
                   or _fault_of_encoder(name, made['text-encoder'], made['embeddings'])
                   or self._fault_of_machine(name))
        if why_not:
            return run._replace(why_not=why_not, note='')
        return run._replace(
            stages=stage, stage_folder=os.path.join(folder, 'stage%d' % stage),
            digest=digest_of([made['stage%d' % stage]['content'],
                              made['text-encoder']['content']]))

    def _fault_of_machine(self, name):
        if self._has_tensorflow:
            return None
        return ('it has no export, and TensorFlow is not installed here; run: '
                + RUN % ('export', name))


def _fault_of_training(name, trained):
    """Why a stage cannot generate images one image at a time, or None."""
    if not trained:
        return 'it has no finished training and no export'
    compat = (trained.get('notes') or {}).get('compat')          # of an import
    if compat:
        return ('it was imported with --compat {}, which generates whole batches alone; import it '
                'without, or: {}'.format(printable(str(compat))[:60], RUN % ('sample', name)))
    return None


def _fault_of_encoder(name, encoder, embeddings):
    """Why the text encoder of a run cannot embed for its generators, or None."""
    if not encoder:
        return NO_ENCODER % ('run', name)
    if not embeddings:                                # an import may do without a dataset
        return None
    embedded_by = embeddings['request']['inputs'].get('text-encoder')
    if embedded_by is None:                           # brought: a published one goes with them
        is_published = 'text.weights' in encoder['request']['settings']
        return None if is_published else HELD_BACK % ('run', name)
    return None if embedded_by == encoder['content'] else OTHER_ENCODER % ('run', name)


def _by_export(run, folder, made):
    """The `Run` that generates by its ONNX files, or None where they are not complete.

    Raises one of many errors where its facts are odd.
    """
    check_facts(os.path.join(folder, FACTS))
    facts = read_export(folder)
    models = [each for each in facts['models'] if 'onnx' in each]
    if not models:
        return None

    def path_of(facts):
        """Of a file beside export.json that the manifest names."""
        if facts['file'] not in made['export']['files'] or os.path.basename(
                facts['file']) != facts['file']:
            raise ValueError('export.json names another file')
        return os.path.join(folder, facts['file'])

    if facts.get('text_encoder'):
        encoder, kind = path_of(facts['text_encoder']), CHAR_CNN_RNN
    elif run.encoder and run.encoder_kind != CHAR_CNN_RNN:       # which need no TensorFlow
        encoder, kind = run.encoder, run.encoder_kind
    else:
        return None
    stage = facts['stage']
    if type(stage) is not int or stage not in (1, 2):
        raise ValueError('export.json has another stage')
    smallest = min(models, key=lambda each: each['batch_size'])
    trained = made['stage%d' % stage]
    asked = made['export']['request']['inputs']
    is_old = trained and trained['content'] != asked.get('stage')
    return run._replace(
        stages=stage, model=path_of(smallest['onnx']), encoder=encoder, encoder_kind=kind,
        note='its export is older than its training' if is_old else '',
        digest=digest_of([made['export']['content'],
                          (made['text-encoder'] or {}).get('content')]))


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:                                   # links in a loop
        return False


def _bad(name, fault):
    return Run(name, why_not=fault, faults=(fault,))


def _kind_of(folder):
    try:
        check_facts(os.path.join(folder, OPTIONS))
        return read_options(folder)['kind']
    except (Damaged, InputError):                    # is told at the first request
        return CHAR_CNN_RNN
