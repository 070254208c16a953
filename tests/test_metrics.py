"""Counters of `serve`: against a count by hand, and as Prometheus's own parser reads them."""

import pytest

from stackgan.serving.metrics import BUCKETS, Metrics

REQUESTS = [('pages.index', 200, 0.01), ('api.generate_images', 200, 0.7),
            ('api.generate_images', 200, 3.0), ('api.generate_images', 503, 61.0),
            ('api.generate_images', 429, 0.0), (None, 404, 0.001), (None, 421, 0.05),
            ('api.image', 599, 0.2)]


def metrics():
    found = Metrics()
    for route, status, seconds in REQUESTS:
        found.count_request(route, status, seconds)
    found.count_images(3)
    found.count_images(1)
    return found


def test_lines_are_those_of_the_requests():
    lines = metrics().text(2, 16).splitlines()
    for line in ('stackgan_requests_total{route="api.generate_images",status="200"} 2',
                 'stackgan_requests_total{route="none",status="404"} 1',
                 'stackgan_requests_total{route="api.image",status="other"} 1',
                 'stackgan_refusals_total{status="503"} 1',
                 'stackgan_refusals_total{status="other"} 1',
                 'stackgan_request_seconds_bucket{route="api.generate_images",le="0.5"} 1',
                 'stackgan_request_seconds_bucket{route="api.generate_images",le="1"} 2',
                 'stackgan_request_seconds_bucket{route="api.generate_images",le="60"} 3',
                 'stackgan_request_seconds_bucket{route="api.generate_images",le="+Inf"} 4',
                 'stackgan_request_seconds_sum{route="api.generate_images"} 64.700000',
                 'stackgan_request_seconds_bucket{route="none",le="0.05"} 2',
                 'stackgan_images_total 4', 'stackgan_queue_length 2', 'stackgan_queue_limit 16'):
        assert line in lines
    assert not any('refusals' in line and '"200"' in line for line in lines)


def test_prometheus_reads_it():
    parser = pytest.importorskip('prometheus_client.parser', reason='prometheus-client is not '
                                 'installed (of the extra `test`, Python 3.12 and later)')
    found = {family.name: family for family in parser.text_string_to_metric_families(
        metrics().text(2, 16))}
    assert {name: family.type for name, family in found.items()} == {
        'stackgan_requests': 'counter', 'stackgan_refusals': 'counter',
        'stackgan_images': 'counter', 'stackgan_request_seconds': 'histogram',
        'stackgan_queue_length': 'gauge', 'stackgan_queue_limit': 'gauge'}
    assert sum(each.value for each in found['stackgan_requests'].samples) == len(REQUESTS)
    limits = [each.labels['le'] for each in found['stackgan_request_seconds'].samples
              if each.labels['route'] == 'none' and 'le' in each.labels]
    assert [float(limit) for limit in limits] == [*BUCKETS, float('inf')]


def test_labels_are_few_whatever_is_sent():
    found = Metrics()
    for number in range(1000):
        found.count_request(None, number, float(number))
    assert len(found.text(0, 1).splitlines()) < 80
