"""The options of `sample`: what they ask for, and what is refused in one line."""

import argparse

import pytest

from jobs.engine.command_line import main
from jobs.engine.sample_options import MAX_SEEDS, add_options, sample_options_of


def options_given(*arguments):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return sample_options_of(parser.parse_args(arguments))


def test_what_is_asked_for():
    plain = options_given()
    assert plain.captions == [] and plain.copies is None and plain.more() == {}
    plain = options_given('--caption', ' a  bird')
    assert plain.captions == ['a bird'] and plain.copies == 4 and plain.more() == {}
    seeds = options_given('--caption', 'a', '--seeds', '3,0-2', '--seeds', '1, 7',
                          '--truncation-z', '0')
    assert seeds.copies == 1 and seeds.more() == {'seeds': [3, 0, 1, 2, 7], 'truncation_z': 0}
    way = options_given('--interpolate-captions', 'a', 'b', '--nearest', '2')
    assert way.captions == ['a', 'b'] and way.more() == {
        'from_caption_to_caption': True, 'steps': 8, 'nearest': 2}
    way = options_given('--interpolate-noise', '0', '5', '--steps', '3')
    assert way.captions == [] and way.more() == {'from_seed_to_seed': [0, 5], 'steps': 3}


@pytest.mark.parametrize('arguments, text', [
    ('--seeds 1-', "'1-' is neither a seed of 0 to 2147483647 nor a range of them like 5-9"),
    ('--seeds 5-2', "'5-2' is neither"), ('--seeds -3', "'-3' is neither"),
    ('--seeds 1,,2', "'' is neither"), ('--seeds 2147483648', 'is neither'),
    ('--seeds 0-4000000000', 'is neither'), ('--seeds 1.5', 'is neither'),
    ('--seeds 0-%d' % MAX_SEEDS, 'more than %d seeds' % MAX_SEEDS),
    ('--steps 4', '--steps is for --interpolate-captions and --interpolate-noise'),
    ('--interpolate-noise 1 2 --steps 1', '--steps 1: must be 2 to 60'),
    ('--interpolate-noise 1 2 --steps 0', '--steps 0: must be 2 to 60'),
    ('--interpolate-noise 3 3', 'must be two different seeds'),
    ('--interpolate-noise 3 -1', 'must be two different seeds of 0 to'),
    ('--interpolate-noise 1 2 --seeds 3', 'remove --seeds'),
    ('--interpolate-noise 1 2 --interpolate-captions a b', 'use one of them'),
    ('--interpolate-captions a b --caption c', 'remove --caption and --captions'),
    ('--interpolate-captions a a', 'needs two different captions'),
    ('--interpolate-captions a b --copies 2', 'use --seeds for more'),
    ('--caption a --seeds 1 --copies 2', 'use --seeds for more'),
    ('--copies 2', '--copies is for --caption and --captions'),
    ('--truncation-z -1', '--truncation-z -1.0: must be 0, or 0.01 to 10'),
    ('--truncation-z nan', '--truncation-z nan: must be'),
    ('--truncation-z 0.001', 'must be 0, or 0.01'),
    ('--truncation-noise 2.5', 'must be 0, or 0.01 to 2, where the noise is truncated in training'),
    ('--nearest 0', '--nearest 0: must be 1 to 8'), ('--nearest 9', 'must be 1 to 8'),
    ('--model x.pb --stage 1', '--model has the stages it was exported with')])
def test_nonsense_is_refused_in_one_line(tmp_path, capsys, arguments, text):
    assert main(['sample', '--data', str(tmp_path)] + arguments.split(' ')) == 2
    printed = capsys.readouterr()
    assert printed.out == '' and text in printed.err and len(printed.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_help_groups_the_options_and_gives_examples(capsys):
    with pytest.raises(SystemExit):
        main(['sample', '--help'])
    text = capsys.readouterr().out
    for title in ('captions:', 'noise:', 'interpolation:', 'memorisation:',
                  'model:', 'examples:', '  python -m jobs sample --caption'):
        assert title in text
