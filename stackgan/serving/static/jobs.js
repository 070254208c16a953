// Shows the jobs as they change: each event says that something did, the page itself says what.
'use strict';

const list = document.getElementById('jobs');
const connection = document.getElementById('connection');
let again = null, reading = false, stale = false;

connect();

function connect() {
  clearTimeout(again);
  const source = new EventSource(list.dataset.events);
  source.addEventListener('open', () => { tell('live', 'Live.'); });
  source.addEventListener('jobs', refresh);
  source.addEventListener('error', () => {
    if (source.readyState !== EventSource.CLOSED) return;    // between two streams
    tell('lost', 'Not connected; trying again.');
    again = setTimeout(connect, 10000);
  });
}

function tell(state, text) {
  if (connection.textContent === text) return;
  connection.className = state;
  connection.textContent = text;
}

// Reads the page once more, and again if something changed meanwhile.
async function refresh() {
  stale = true;
  if (reading) return;
  reading = true;
  try {
    while (stale) {
      stale = false;
      const answer = await fetch(location.href);
      if (answer.ok) update(new DOMParser().parseFromString(await answer.text(), 'text/html'));
    }
  } catch (error) {                          // the next event tries again
  } finally {
    reading = false;
  }
}

function update(page) {
  const changes = [];
  const items = [...page.querySelectorAll('#jobs > li')].map(next => {
    const now = document.getElementById(next.id);
    if (now && now.dataset.version === next.dataset.version) return now;
    if (now) keep(now, next);
    if (now && now.dataset.state !== next.dataset.state) {
      changes.push(`${next.dataset.name}: ${next.dataset.state}`);
    }
    return next;
  });
  if (!items.length) return;
  const focused = document.activeElement && document.activeElement.closest('[id]');
  const inner = focused && [...focused.querySelectorAll('summary, pre')].indexOf(
    document.activeElement);
  items.forEach((item, number) => {
    const now = document.getElementById(item.id);
    if (now && now !== item) now.replaceWith(item);
    if (list.children[number] !== item) list.insertBefore(item, list.children[number] || null);
  });
  while (list.children.length > items.length) list.lastElementChild.remove();
  if (focused && inner >= 0 && !document.contains(focused)) {
    const again = document.getElementById(focused.id);
    if (again) (again.querySelectorAll('summary, pre')[inner] || again).focus();
  }
  if (changes.length) document.getElementById('news').textContent = changes.join(', ');
}

// What a visitor has opened or scrolled stays so, and images that are the same do not flicker.
function keep(now, next) {
  const hasChanged = now.dataset.state !== next.dataset.state;
  for (const details of next.querySelectorAll('details')) {
    const before = document.getElementById(details.id);
    if (before && !hasChanged) details.open = before.open;
  }
  for (const image of next.querySelectorAll('img')) {
    for (const before of now.querySelectorAll('img')) {
      if (before.getAttribute('src') === image.getAttribute('src')) image.replaceWith(before);
    }
  }
}
