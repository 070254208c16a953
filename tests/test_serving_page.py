"""The page of `serve`, as HTML."""

import os
import re

from serve_toy import RUN
from serving_client import CAPTION, generate
from toy import ROOT

from stackgan.files import files_below
from stackgan.serving.app import POLICY


def test_the_page_works_without_javascript(client):
    answer = client.post('/', data={'run': RUN, 'caption': 'a <i>red</i> "bird"', 'seed': '4'})
    assert answer.status_code == 303
    page = client.get(answer.headers['Location']).get_data(as_text=True)
    assert 'a &lt;i&gt;red&lt;/i&gt; &#34;bird&#34;' in page and '<i>' not in page
    assert 'value="4"' in page
    assert len(re.findall(r'<img class="generated" alt="Stage-II?: a &lt;i&gt;[^>]* src="/api/',
                          page)) == 2
    answer = client.post('/', data={'run': RUN, 'caption': '<script>x</script>\x00', 'seed': '4'})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400 and 'control characters or invalid text' in page
    assert '<script>x' not in page and '&lt;script&gt;x&lt;/script&gt;' in page
    for seed in ('x', '-1', '9' * 5000):
        answer = client.post('/', data={'run': RUN, 'caption': 'a', 'seed': seed})
        assert answer.status_code == 400 and 'whole number' in answer.get_data(as_text=True)
    assert 'not kept any more' in client.get('/?image=gone').get_data(as_text=True)
    assert client.post('/', data={'x': 'y' * 20000}).status_code == 413


def test_headers_and_nothing_inline_or_from_elsewhere(client):
    for answer in (client.get('/'), client.get('/health'), client.get('/nowhere'),
                   client.get('/static/page.css'), generate(client, caption='')):
        assert answer.headers['Content-Security-Policy'] == POLICY
        assert answer.headers['X-Content-Type-Options'] == 'nosniff'
        assert answer.headers['Referrer-Policy'] == 'same-origin'
    for part in POLICY.split('; '):
        assert part.split(' ', 1)[1] in ("'self'", "'none'")
    folder = os.path.join(ROOT, 'stackgan', 'serving')
    for name in files_below(folder):
        if name.endswith(('.html', '.css', '.js', '.svg')):
            with open(os.path.join(folder, name), encoding='utf-8') as stream:
                text = stream.read().replace('http://www.w3.org/2000/svg', '')
            assert '//' not in re.sub(r'(?m)(^|\s)// .*$', '', text), name       # comments
            assert not re.search(r'style=|\son\w+=|innerHTML|<script>|eval', text), name


def test_fields_have_labels(client):
    page = client.get('/').get_data(as_text=True)
    for id in re.findall(r'<(?:textarea|select|input)[^>]* id="([^"]+)"|<(?:textarea|select|input) '
                         r'id="([^"]+)"', page):
        assert '<label for="{}">'.format(''.join(id)) in page
    assert 'role="status"' in page and 'role="alert"' in page and 'lang="en"' in page


def test_the_form_without_a_script_has_it_all(client):
    def post(**fields):
        return client.post('/', data=dict({'run': RUN, 'caption': CAPTION, 'seed': '1'}, **fields))

    answer = post(other_seed='2', other_caption='', truncation='1.5', seeds='4')
    assert answer.status_code == 303
    text = client.get(answer.headers['Location']).get_data(as_text=True)
    for name, value in (('other_seed', '2'), ('truncation', '1.5')):
        assert re.search(rf'name="{name}"[^>]*value="{value}"', text)
    assert '<details id="more" open>' in text
    assert post(seeds='2').status_code == 303
    assert [each['seed'] for each in client.get('/api/gallery').get_json()['images'][:2]] == [1, 2]
    answer = post(truncation='much')
    assert answer.status_code == 400 and 'truncation must be a number' in answer.get_data(
        as_text=True)


def test_below_a_path_every_address_has_it(client):
    base = {'base_url': 'http://localhost/birds', 'data': {
        'run': RUN, 'caption': CAPTION, 'seed': '1'}}
    answer = client.post('/', **base)
    assert answer.headers['Location'].startswith('/birds/?image=')
    text = client.get('/', base_url='http://localhost/birds').get_data(as_text=True)
    found = re.findall(r'(?:src|href|action|data-generate)="([^"]*)"', text)
    assert len(found) > 8 and all(each.startswith('/birds/') for each in found)
