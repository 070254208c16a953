"""The files of a training that runs, for the tests of the live view."""

import json

OUTPUT = 'runs/one/stage1'
PNG = b'\x89PNG\r\n\x1a\n of a grid'


def train(volume, steps=4, error=None):
    """What a training that runs has written so far."""
    folder = volume / (OUTPUT + '.partial')
    (folder / 'samples').mkdir(parents=True, exist_ok=True)
    for step in range(2, steps + 1, 2):
        (folder / 'samples' / f'{step:08d}.png').write_bytes(PNG + b'%d' % step)
    (folder / 'stats.jsonl').write_text(''.join(
        json.dumps({'step': step, 'stage1/discriminator': 1 / step, 'stage1/generator_fake': step,
                    'epoch': 0.1}) + '\n' for step in range(1, steps + 1)))
    (folder / 'progress.json').write_text(json.dumps({
        'label': 'train-stage1', 'done': 8 * steps, 'total': 80, 'unit': 'images', 'rate': 4.0,
        'note': 'D 1.0'}))
    (folder / 'log.txt').write_text(
        '2026-01-01 10:00:00  resuming from step 2 of 10\n' + (
            f'2026-01-01 10:01:00  Traceback:\n  File "x"\n2026-01-01 10:01:00  error: {error}\n'
            if error else ''))
    return folder
