// Generates without reloading the page. Untrusted text is only ever set as textContent.
'use strict';

const form = document.getElementById('ask');
const field = name => document.getElementById(name);
const largestSeed = Number(field('seed').max);
const mostImages = Number(form.dataset.images);

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
  const wanted = request();
  const end = showProgress();
  try {
    const answers = [await ask(wanted)], other = field('compare').value;
    if (other) answers.push(await ask({...wanted, run: other}));
    await show(answers);
    const [answer] = answers;
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

// What the form asks for; fields that are empty are left out.
function request() {
  const wanted = {run: field('run').value, caption: field('caption').value, seed: 0};
  for (const name of ['seed', 'truncation', 'other_seed']) {
    const text = field(name).value.trim();
    if (text !== '') wanted[name] = Number(text);
  }
  const other = field('other_caption').value;
  if (other.trim() !== '') wanted.other_caption = other;
  if ('other_caption' in wanted || 'other_seed' in wanted) wanted.steps = mostImages;
  else wanted.seeds = Number(field('seeds').value);
  return wanted;
}

let shown = [];                  // answers, side by side: of the run, and of one to compare with

async function show(answers) {
  const [answer] = answers, images = answer.images;
  shown = answers;
  field('empty').hidden = true;
  field('notices').textContent = [...new Set(answers.flatMap(each => each.notices))].join(' ');
  for (const old of document.querySelectorAll('.figures.other')) old.remove();
  for (const each of answers.slice(1)) field('figures').after(copyOfFigures());
  const isPath = 'position' in images[0] && images.length > 1;
  field('between').hidden = !isPath;
  field('position').max = images.length - 1;
  field('position').value = 0;
  field('strip').hidden = isPath || images.length < 2;
  field('strip').replaceChildren(...(field('strip').hidden ? [] : images.map(button)));
  await select(0);
  for (const each of answers) for (const image of [...each.images].reverse()) remember(image);
}

function copyOfFigures() {
  const copy = field('figures').cloneNode(true);
  copy.classList.add('other');
  for (const each of [copy, ...copy.querySelectorAll('[id]')]) each.removeAttribute('id');
  return copy;
}

function button(image, index) {
  const item = document.createElement('li'), press = document.createElement('button');
  const element = new Image(64, 64);
  element.src = image.stages['2'] || image.stages['1'];
  element.alt = '';
  press.type = 'button';
  press.append(element, `seed ${image.seed}`);
  press.addEventListener('click', () => select(index));
  item.append(press);
  return item;
}

// Shows an image of each answer.
async function select(index) {
  const groups = document.querySelectorAll('.figures');
  const waiting = [];
  shown.forEach((answer, number) => {
    const image = answer.images[index], facts = groups[number].querySelector('.facts');
    facts.hidden = shown.length < 2;
    facts.textContent = image.run;
    for (const [stage, name] of [['1', 'Stage-I'], ['2', 'Stage-II']]) {
      const figure = groups[number].querySelector(`[data-stage="${stage}"]`);
      const element = figure.querySelector('img'), link = figure.querySelector('.download');
      figure.hidden = !(stage in image.stages);
      if (figure.hidden) continue;
      element.src = link.href = image.stages[stage];
      element.alt = `${name}: ${image.caption}`;
      link.download = fileName(image, stage);
      waiting.push(element.decode());
    }
  });
  const image = shown[0].images[index];
  offerNearest(image);
  field('shown-caption').textContent = image.caption
    + (image.other_caption ? ` → ${image.other_caption}` : '');
  [...field('strip').querySelectorAll('button')].forEach((each, number) =>
    each.setAttribute('aria-pressed', String(number === index)));
  const percent = Math.round(100 * (image.position || 0));
  field('position').setAttribute('aria-valuetext', `${percent} % of the way`);
  await Promise.all(waiting).catch(() => {});      // the slider may have moved on
}

// The training images nearest to the image that is shown.
function offerNearest(image) {
  const link = field('find-nearest');
  field('find').hidden = !('nearest' in image);
  field('nearest').hidden = true;
  if (field('find').hidden) return;
  link.href = `${form.getAttribute('action')}?image=${encodeURIComponent(image.id)}&nearest=1#nearest`;
  link.dataset.nearest = image.nearest;
}

field('find-nearest').addEventListener('click', async event => {
  event.preventDefault();
  const link = field('find-nearest'), address = link.dataset.nearest;
  if (link.getAttribute('aria-busy') === 'true') return;
  field('message').textContent = '';
  link.setAttribute('aria-busy', 'true');
  field('progress').textContent = 'Comparing with the training images…';
  try {
    const response = await fetch(address);
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.error || 'The server cannot compare images right now.');
    if (link.dataset.nearest !== address) return;         // another image is shown by now
    field('nearest').querySelector('ul').replaceChildren(...answer.images.map(neighbour));
    field('nearest').hidden = false;
    field('find').hidden = true;
    field('nearest').querySelector('h2').focus();
    field('progress').textContent = 'Done.';
  } catch (error) {
    field('progress').textContent = '';
    field('message').textContent = error.message;
  } finally {
    link.removeAttribute('aria-busy');
  }
});

function neighbour(found) {
  const item = document.createElement('li'), element = new Image(160, 160);
  const mirrored = found.mirrored ? ', mirrored' : '';
  element.src = found.image;
  element.alt = '';
  item.append(element, ...[['facts', `distance ${found.distance.toFixed(1)}${mirrored}`],
                           ['words', found.caption],
                           ['facts name', found.name.split('/').pop()]].map(([kind, text]) => {
    const span = document.createElement('span');
    span.className = kind;
    span.textContent = text;
    if (kind === 'words') span.dir = 'auto';
    if (kind === 'facts name') span.title = found.name;
    return span;
  }));
  return item;
}

function fileName(image, stage) {
  const words = image.caption.replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 60);
  const place = image.position ? `-${Math.round(100 * image.position)}` : '';
  return `${image.run}-${words}-${image.seed}${place}-stage${stage}.png`;
}

field('position').addEventListener('input', () => select(Number(field('position').value)));
field('comparing').hidden = false;                 // works with JavaScript alone

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
  const percent = image.position ? `, ${Math.round(100 * image.position)} % of the way` : '';
  facts.textContent = `${image.run}, seed ${image.seed}${percent}`;
  link.append(element, words, facts);
  item.append(link);
  for (const other of [...gallery.querySelectorAll('a')]) {
    if (other.href === link.href) other.parentElement.remove();
  }
  gallery.prepend(item);
  while (gallery.children.length > Number(gallery.dataset.size)) gallery.lastElementChild.remove();
  field('none').hidden = true;
}
