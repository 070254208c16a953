"""The model card of a bundle: what the model is, its data and licence, scores, limits."""

import shlex
from typing import Any, Dict, List, Sequence

STAGES = {1: '64 x 64 pixels (Stage-I)', 2: '64 x 64 (Stage-I) and 256 x 256 pixels (Stage-II)'}
LIMITS = '''- It knows what its training captions describe, in their words: other things and words
  give images of the training data all the same, without a warning.
- {reads}
- Numbers of things, their places, negations ("no tail") and long sentences are often not followed.
- Images are {sides}. Fine structure is often wrong.
- Images may resemble training images; see `sample --nearest` and the licence of the data.
- Whatever the training images and captions favour or leave out, it favours and leaves out too.
- The scores below say how it compares with real images of the same dataset, and nothing about any
  other use. Do not use it where a wrong image does harm.
'''
CHARACTERS = ('It reads the first 201 characters of a sentence, Latin letters, digits and common '
              'signs;\n  capital letters count as small ones, everything else is ignored.')
TOKENS = ('It reads the first {max_tokens} tokens of a sentence, in the languages that its\n'
          '  encoder knows. That sentence encoder was made by others: see the licence beside it.')
SCORES = '''Of generated images, and in the last column of real test images: no generator can be
expected to score better than that. `docs/scores.md` of the repository describes each score.

'''


def model_card(
        facts: Dict[str, Any],      # bundle.json
) -> str:
    """Markdown."""
    name, data, samples = facts['name'], facts['dataset'], facts['samples']
    example = shlex.quote(samples[0]['caption'] if samples else 'a bird')
    text = ['---', 'pipeline_tag: text-to-image', 'tags: [stackgan, gan, text-to-image, onnx]',
            '---', f'# {name}: a sentence to an image', '',
            f'A StackGAN (Zhang et al., 2017) that generates images of {STAGES[facts["stage"]]} '
            'from a sentence.', '',
            '    pip install -r requirements.txt',
            f'    python generate.py {example} --seeds 0 1',
            '', 'The models are ONNX files and run without TensorFlow and without the repository '
            'that trained them. `sha256sum -c SHA256SUMS` checks all files.', '']
    text += _table(['caption', 'image (seed 0)'],
                   [[_cell(each['caption']), f'![{_cell(each["caption"])}]({each["file"]})']
                    for each in samples])
    text += ['## Data and licence', '', *_data(data), '',
             f'Licence of the data: {facts["licence"] or "not stated (`data.licence`)"}. The code, '
             'generate.py included, has the MIT licence.', '',
             '## What it cannot do', '',
             LIMITS.format(sides=STAGES[facts['stage']], reads=TOKENS.format(**facts['sentences'])
                           if facts.get('sentences') else CHARACTERS), '## Scores', '']
    scores = facts['scores']
    text += ([SCORES.rstrip(), ''] + _table(scores['header'], scores['rows']) if scores
             else ['The run was not scored when this file was made.', ''])
    return '\n'.join(text + ['## Files', '', *_files(facts), ''])


def _data(data: Dict[str, Any]) -> List[str]:
    if not data:
        return ['The training data is not described: the model was imported.']
    train = data.get('train') or {}
    counts = (f': {train["images"]} training images with {train["captions"]} captions'
              if {'images', 'captions'} <= set(train) else '')
    return [f'Dataset `{data["name"]}`{counts}, {data["classes"]} classes.']


def _files(facts: Dict[str, Any]) -> List[str]:
    checkpoint = facts['checkpoint']
    lines = [f'- `{each["file"]}`: weights in {each["weights"]}; images differ from those of the '
             f'float32 file by at most {each["largest_difference"]:.1e} of the range of a pixel'
             if each['largest_difference'] else f'- `{each["file"]}`: weights in {each["weights"]}'
             for each in facts['models']]
    return lines + [f'- checkpoint {checkpoint["name"]}, step {checkpoint["step"]}, sha256 '
                    f'{checkpoint["sha256"]}; weights of {facts["weights"]}',
                    f'- made by stackgan {facts["version"]}']


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> List[str]:
    if not rows:
        return []
    lines = [header, ['---'] * len(header), *rows]
    return ['| ' + ' | '.join(map(str, line)) + ' |' for line in lines] + ['']


def _cell(text: str) -> str:
    """A caption as text of a table: without what Markdown would read as more than text."""
    return ''.join('\\' + character if character in '|[]<>*_`\\' else character
                   for character in text)
