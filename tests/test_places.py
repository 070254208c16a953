"""Outputs that are links to another disk, and what else may lie where an output belongs."""

import os

import needs
import pytest
from test_contract import content, make_job, run
from toy import tiny_config

from jobs.engine.cleaning import clean_output
from jobs.engine.contract import state_of
from jobs.engine.locks import locked
from stackgan.errors import StackganError

OTHER, THIRD = tiny_config('train.batch_size=8'), tiny_config('train.batch_size=16')


@pytest.fixture
def linked(tmp_path):
    """(volume, disk): an output that was moved to another disk, with a link in its place."""
    volume, disk = tmp_path / 'volume', tmp_path / 'disk'
    volume.mkdir(), disk.mkdir()
    assert run(make_job(), volume) == 0
    os.rename(str(volume / 'out'), str(disk / 'out'))
    (volume / 'out').symlink_to(disk / 'out')
    return volume, disk


@pytest.mark.parametrize('precious', [False, True])
def test_a_linked_output_stays_where_it_is(linked, precious):
    volume, disk = linked
    job = make_job(precious=precious)
    assert state_of(job, tiny_config(), str(volume)).word == 'done'
    for config, size in ((OTHER, '8'), (THIRD, '16'), (OTHER, '8')):
        assert run(job, volume, config) == 0
        assert (disk / 'out' / 'size.txt').read_text() == size
        assert os.readlink(str(volume / 'out')) == str(disk / 'out')
        assert sorted(os.listdir(str(volume))) == ['out', 'out.lock']       # of before it was moved
    assert (disk / 'out.previous').exists() == precious


def test_unfinished_work_is_beside_the_target(linked, capsys):
    volume, disk = linked

    def fail(work):
        open(os.path.join(work.folder, 'half'), 'w').close()
        raise StackganError('no luck')
    assert run(make_job(body=fail), volume, OTHER) == 1
    assert (disk / 'out.partial' / 'half').exists()
    assert state_of(make_job(), OTHER, str(volume)).word == 'unfinished'
    assert run(make_job(), volume, OTHER) == 0 and (disk / 'out' / 'half').exists()


def test_a_process_killed_while_it_exchanged_a_linked_output(linked):
    volume, disk = linked
    os.rename(str(disk / 'out'), str(disk / 'out.previous'))               # and died
    assert run(make_job(), volume) == 0
    assert (disk / 'out' / 'size.txt').read_text() == '4'


def test_a_link_left_as_previous_is_no_obstacle(linked):
    volume, disk = linked
    os.rename(str(volume / 'out'), str(volume / 'out.previous'))
    assert run(make_job(), volume, OTHER) == 0 and run(make_job(), volume, THIRD) == 0
    assert sorted(os.listdir(str(volume))) == ['out', 'out.lock']
    assert (disk / 'out' / 'size.txt').read_text() == '4'                  # no one's to remove


def test_an_empty_folder_may_be_linked_before_the_first_run(tmp_path):
    (tmp_path / 'disk' / 'out').mkdir(parents=True)
    (tmp_path / 'out').symlink_to(tmp_path / 'disk' / 'out')
    assert state_of(make_job(), tiny_config(), str(tmp_path)).word == 'missing'
    assert run(make_job(), tmp_path) == 0
    assert (tmp_path / 'disk' / 'out' / 'size.txt').read_text() == '4'


def test_unfinished_work_may_be_moved_and_linked(tmp_path):
    def fail(work):
        open(os.path.join(work.folder, 'half'), 'w').close()
        raise StackganError('no luck')
    assert run(make_job(body=fail), tmp_path) == 1
    os.rename(str(tmp_path / 'out.partial'), str(tmp_path / 'moved'))
    (tmp_path / 'out.partial').symlink_to(tmp_path / 'moved')
    assert run(make_job(), tmp_path) == 0 and (tmp_path / 'moved' / 'half').exists()
    for config in (OTHER, THIRD):
        assert run(make_job(), tmp_path, config) == 0
    assert (tmp_path / 'out' / 'size.txt').read_text() == '16'


def test_two_volumes_with_one_target_exclude_each_other(linked, tmp_path, capsys):
    volume, disk = linked
    (tmp_path / 'second').mkdir()
    (tmp_path / 'second' / 'out').symlink_to(disk / 'out')
    with locked(str(disk / 'out'), 'write'):
        for place in (volume, tmp_path / 'second'):
            assert run(make_job(), place, OTHER) == 1
            assert 'another job is writing' in capsys.readouterr().err


@pytest.mark.parametrize('lead, text', [
    ('nowhere/out', 'which does not exist; mount its disk or make that folder, or remove the link'),
    ('file', 'which is not a folder'), ('out', 'points to itself'), ('loop', 'points to itself')])
@pytest.mark.parametrize('name', ['out', 'out.partial', 'runs'])
def test_links_that_lead_to_no_folder_are_told(tmp_path, capsys, name, lead, text):
    (tmp_path / 'file').write_text('mine')
    (tmp_path / 'loop').symlink_to(tmp_path / name)
    (tmp_path / name).symlink_to(tmp_path / (name if lead == 'out' else lead))
    job = make_job(output='runs/out' if name == 'runs' else 'out')
    assert run(job, tmp_path) == 2
    err = capsys.readouterr().err
    assert str(tmp_path / name) in err and len(err.splitlines()) == 1
    assert text.split(';')[0] in err
    assert os.path.islink(str(tmp_path / name)) and (tmp_path / 'file').read_text() == 'mine'
    assert not (tmp_path / 'nowhere').exists()
    assert state_of(job, tiny_config(), str(tmp_path)).word in ('missing', 'stale')


@pytest.mark.parametrize('name', ['out', 'out.partial', 'runs'])
def test_a_file_where_a_folder_belongs_is_told(tmp_path, capsys, name):
    (tmp_path / name).write_text('mine')
    assert run(make_job(output='runs/out' if name == 'runs' else 'out'), tmp_path) == 2
    err = capsys.readouterr().err
    assert 'not a folder' in err and str(tmp_path / name) in err and len(err.splitlines()) == 1
    assert (tmp_path / name).read_text() == 'mine'


@pytest.mark.parametrize('name', ['out', 'disk'])
def test_the_top_of_a_disk_is_no_place_for_an_output(tmp_path, capsys, name):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'out').symlink_to(tmp_path / 'disk')
    with needs.mounted(tmp_path / 'disk', 'size=2m'):
        assert run(make_job(output=name), tmp_path) == 2
        err = capsys.readouterr().err
        assert 'tmpfs at %s' % (tmp_path / 'disk') in err and 'a folder in there' in err
        assert len(err.splitlines()) == 1


def test_the_volume_and_a_run_may_be_links(tmp_path):
    (tmp_path / 'real' / 'elsewhere').mkdir(parents=True)
    (tmp_path / 'volume').symlink_to(tmp_path / 'real')
    (tmp_path / 'real' / 'runs').symlink_to(tmp_path / 'real' / 'elsewhere')
    job = make_job(output='runs/out')
    for config in (tiny_config(), OTHER, THIRD):
        assert run(job, tmp_path / 'volume', config) == 0
    assert content(tmp_path / 'real' / 'elsewhere' / 'out')['size.txt'] == b'16'
    assert (tmp_path / 'real' / 'runs').is_symlink()


def test_clean_empties_the_target_and_keeps_the_link(linked, capsys):
    volume, disk = linked
    assert run(make_job(precious=True), volume, OTHER) == 0
    (volume / 'out.previous').symlink_to(disk)                            # of an earlier version
    clean_output(make_job(), OTHER, str(volume))
    assert 'the link %s stays' % (volume / 'out') in capsys.readouterr().out
    assert os.readlink(str(volume / 'out')) == str(disk / 'out')
    assert sorted(os.listdir(str(disk))) == ['out', 'out.lock'] and not content(disk / 'out')
    assert sorted(os.listdir(str(volume))) == ['out', 'out.lock']
    clean_output(make_job(), OTHER, str(volume))
    assert 'has no output' in capsys.readouterr().out
    assert run(make_job(), volume) == 0 and (disk / 'out' / 'size.txt').read_text() == '4'
