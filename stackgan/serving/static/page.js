// Generates without reloading the page. Untrusted text is only ever set as textContent.
'use strict';

const form = document.getElementById('ask');
const field = name => document.getElementById(name);
const largestSeed = Number(field('seed').max);

field('dice').addEventListener('click', () => {
  field('seed').value = Math.floor(Math.random() * 1000000) % (largestSeed + 1);
});

field('caption').addEventListener('keydown', event => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

form.addEventListener('submit', async event => {
  event.preventDefault();
  if (field('generate').disabled) return;
  field('message').textContent = '';
  const seed = field('seed').value.trim();
  const wanted = {run: field('run').value, caption: field('caption').value,
                  seed: seed === '' ? 0 : Number(seed)};
  const end = showProgress();
  try {
    const answer = await ask(wanted);
    await show(answer);
    field('seed').value = answer.seed;
    end('Done.');
  } catch (error) {
    end('');
    field('message').textContent = error.message;
  }
});

function showProgress() {
  const started = Date.now();
  const tell = () => {
    const seconds = Math.round((Date.now() - started) / 1000);
    field('progress').textContent = seconds < 2 ? 'Generating…' : `Generating… ${seconds} s`;
  };
  tell();
  const timer = setInterval(tell, 5000);
  field('generate').disabled = true;
  field('progress').classList.add('busy');
  field('result').setAttribute('aria-busy', 'true');
  return text => {
    clearInterval(timer);
    field('generate').disabled = false;
    field('progress').classList.remove('busy');
    field('progress').textContent = text;
    field('result').setAttribute('aria-busy', 'false');
  };
}

async function ask(wanted) {
  let response;
  try {
    response = await fetch(form.dataset.generate, {
      method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(wanted)});
  } catch (error) {
    throw new Error('The server cannot be reached. Try again.');
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error || 'The server cannot generate images right now.');
  return answer;
}

async function show(answer) {
  const [image] = answer.images;
  field('empty').hidden = true;
  field('shown-caption').textContent = image.caption;
  field('notices').textContent = answer.notices.join(' ');
  for (const [stage, name] of [['1', 'Stage-I'], ['2', 'Stage-II']]) {
    const figure = field('stage' + stage), element = figure.querySelector('img');
    figure.hidden = !(stage in image.stages);
    if (figure.hidden) continue;
    element.src = image.stages[stage];
    element.alt = `${name}: ${image.caption}`;
    await element.decode();
  }
  remember(image);
}

function remember(image) {
  const gallery = field('gallery'), link = document.createElement('a');
  const element = new Image(256, 256), words = document.createElement('span');
  const facts = document.createElement('span'), item = document.createElement('li');
  link.className = 'card';
  link.href = form.getAttribute('action') + '?image=' + encodeURIComponent(image.id);
  element.className = 'generated';
  element.alt = image.caption;
  element.src = image.stages['2'] || image.stages['1'];
  words.className = 'words';
  words.dir = 'auto';
  words.textContent = image.caption;
  facts.className = 'facts';
  facts.textContent = `${image.run}, seed ${image.seed}`;
  link.append(element, words, facts);
  item.append(link);
  for (const other of [...gallery.querySelectorAll('a')]) {
    if (other.href === link.href) other.parentElement.remove();
  }
  gallery.prepend(item);
  while (gallery.children.length > Number(gallery.dataset.size)) gallery.lastElementChild.remove();
  field('none').hidden = true;
}
