"""Archives that mean harm: refused by name, or read without it."""

import io
import logging
import os
import shutil
import tarfile
import zipfile

import pytest
from raw_toy import settings, write
from refusals import refused

from stackgan.data import archives
from stackgan.data.archives import unpack
from stackgan.data.layouts.pieces import cub_pieces
from stackgan.files import files_below


def tar_of(path, *members):
    """A .tgz of (name, type, link or content)."""
    with tarfile.open(str(path), 'w:gz') as stream:
        for name, kind, value in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            data = b''
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = value
            elif kind == tarfile.REGTYPE:
                data, info.size = value, len(value)
            stream.addfile(info, io.BytesIO(data))
    return str(path)


def zip_of(path, *members):
    with zipfile.ZipFile(str(path), 'w', zipfile.ZIP_DEFLATED) as stream:
        for name, value in members:
            stream.writestr(name, value)
    return str(path)


@pytest.mark.parametrize('name', [
    '../evil/train/filenames.pickle', '/tmp/evil/train/filenames.pickle',
    'text_c10/../evil.txt', 'text_c10/../../evil.txt', 'C:/evil.txt',
    'train\\..\\..\\evil.txt', 'text_c10/a/%s.txt' % ('evil' * 70)])
def test_names_that_lead_out_are_refused(tmp_path, name):
    refused(zip_of(tmp_path / 'a.zip', (name, 'x')), 'holds the name', tmp_path)
    refused(tar_of(tmp_path / 'a.tgz', (name, tarfile.REGTYPE, b'x')), 'holds the name', tmp_path)


def test_links_and_devices_are_not_made_or_followed(tmp_path, caplog):
    caplog.set_level(logging.INFO, 'stackgan')
    secret = write(tmp_path / 'secret' / 'evil.txt', 'secret')
    path = tar_of(tmp_path / 'a.tgz',
                  ('text_c10', tarfile.SYMTYPE, os.path.dirname(secret)),
                  ('text_c10/a/b.txt', tarfile.REGTYPE, b'fine'),
                  ('text_c10/a/c.txt', tarfile.SYMTYPE, secret),
                  ('text_c10/a/d.txt', tarfile.LNKTYPE, 'text_c10/a/b.txt'),
                  ('train/filenames.pickle', tarfile.FIFOTYPE, None),
                  ('test/filenames.pickle', tarfile.CHRTYPE, None))
    unpack(path, cub_pieces(settings()), str(tmp_path / 'x'))
    assert files_below(str(tmp_path / 'x')) == ['text_c10/a/b.txt']
    assert not os.path.islink(str(tmp_path / 'x' / 'text_c10'))
    assert 'a.tgz: 4 links and devices in it were left out' in caplog.text
    link = zipfile.ZipInfo('text_c10/a/c.txt')
    link.external_attr = 0o120777 << 16
    unpack(zip_of(tmp_path / 'a.zip', (link, secret), ('text_c10/a/b.txt', 'x')),
           cub_pieces(settings()), str(tmp_path / 'y'))
    assert files_below(str(tmp_path / 'y')) == ['text_c10/a/b.txt']


def test_the_same_file_twice_is_refused(tmp_path):
    path = zip_of(tmp_path / 'a.zip', ('birds/text_c10/a/b.txt', 'x'), ('text_c10/a/b.txt', 'y'))
    refused(path, 'holds text_c10/a/b.txt twice, as birds/text_c10/a/b.txt and as text_c10/a/b.txt',
            tmp_path)


def test_captions_of_two_kinds_are_not_mixed(tmp_path):
    path = zip_of(tmp_path / 'a.zip', ('birds/text_c10/a/b.txt', 'x'), ('birds/text/a/c.txt', 'y'))
    refused(path, 'holds the captions as text_c10/ and as text/', tmp_path)


def test_numbers_and_sizes_are_bounded(tmp_path, monkeypatch):
    names = [('text_c10/a/%d.txt' % number, 'x' * 100) for number in range(12)]
    path = zip_of(tmp_path / 'a.zip', *names)
    monkeypatch.setattr(archives, 'MAX_MEMBERS', 11)
    refused(path, 'more than 11 files', tmp_path)
    monkeypatch.setattr(archives, 'MAX_MEMBERS', 12)
    monkeypatch.setattr(archives, 'MAX_BYTES', 1199)
    refused(path, 'more than 12 files or', tmp_path)
    monkeypatch.setattr(archives, 'MAX_BYTES', 1200)
    unpack(path, cub_pieces(settings()), str(tmp_path / 'x'))


def test_what_nobody_reads_counts_too(tmp_path, monkeypatch):
    """A packed tar must be unpacked to be passed over: gigabytes of zeros take minutes."""
    monkeypatch.setattr(archives, 'MAX_BYTES', 1 << 20)
    path = tar_of(tmp_path / 'a.tgz', ('zeros', tarfile.REGTYPE, bytes(2 << 20)))
    refused(path, 'more than', tmp_path)


def test_a_file_larger_than_the_disk_is_refused_before_it_is_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(str(tmp_path))._replace(free=archives.SPARE_BYTES + (3 << 20))
    monkeypatch.setattr(archives.shutil, 'disk_usage', lambda folder: usage)
    path = zip_of(tmp_path / 'a.zip', ('train/filenames.pickle', bytes(4 << 20)))
    refused(path, 'not enough disk space.*/filenames.pickle has 4 MiB, but only 3 MiB are free',
            tmp_path)
    assert sum(os.path.getsize(str(tmp_path / name)) for name in files_below(str(tmp_path))) < 9999


@pytest.mark.parametrize('kind', [b'x', b'g', b'L', b'K'])
def test_a_header_that_would_fill_the_memory_is_refused(tmp_path, kind):
    info = tarfile.TarInfo('header')
    info.type, info.size = kind, 1 << 40
    write(tmp_path / 'a.tar', info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    refused(tmp_path / 'a.tar', 'a header of 1099511627776 bytes', tmp_path)
