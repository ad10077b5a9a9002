// Everything works without this. It keeps distances and lists current, marks what was changed, and adds keys.
'use strict';

const UNITS = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];

/** Says how far an instant is away, in two units at most, as the server does. */
function distance(at) {
  const total = Math.abs(Math.trunc((at - Date.now()) / 1000));
  let first = UNITS.findIndex(([size]) => total >= size);
  if (first < 0) first = UNITS.length - 1;
  const [size, name] = UNITS[first];
  let text = `${Math.floor(total / size)} ${name}`;
  const next = UNITS[first + 1];
  if (next && (name !== 'min' || total < 600)) text += ` ${Math.floor((total % size) / next[0])} ${next[1]}`;
  return at > Date.now() ? `in ${text}` : `${text} ago`;
}

function showDistances() {
  for (const time of document.querySelectorAll('time[data-relative]')) {
    const text = distance(Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

/** Puts the new list in place of the old one; what a person writes stands outside of it. */
async function refresh(live) {
  const page = await fetch(location.href);
  if (page.redirected) return ended(live);
  if (!page.ok) return;
  const fresh = new DOMParser().parseFromString(await page.text(), 'text/html');
  const place = fresh.querySelector('[data-live]');
  if (!place || place.innerHTML === live.innerHTML) return;
  const focused = live.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
  live.replaceChildren(...place.childNodes);
  document.title = fresh.title;
  if (focused) live.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  gone(fresh);
}

/** Says that the session has ended, and takes nothing away that somebody may be writing. */
function ended(live) {
  const link = document.createElement('a');
  link.href = location.href;
  link.textContent = 'Log in again';
  live.replaceChildren('Your session has ended, and this page is not current any more. ', link);
}

/**
 * Listens for news. The server says first that it listens too, so that nothing which happened before is missed; a connection that ends
 * is opened again, and says so again.
 */
function follow() {
  const live = document.querySelector('[data-live]');
  if (!live) return;
  let [busy, again] = [false, false];
  const look = async () => {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      await refresh(live).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    busy = false;
  };
  const listen = () => {
    // A page about one execution is not loaded again for those of others.
    const about = live.dataset.live ? `?instance=${live.dataset.live}` : '';
    const news = new EventSource(`/console/news${about}`);
    news.addEventListener('ready', look);
    news.addEventListener('changed', look);
    news.addEventListener('error', () => {
      if (news.readyState !== EventSource.CLOSED) return;
      look();
      setTimeout(listen, 30_000);
    });
  };
  listen();
}

/** Once a gate is closed, its form decides nothing: it is taken away, and the page says why. */
function gone(fresh) {
  const form = document.querySelector('.decide');
  if (form && !fresh.querySelector('.decide')) form.remove();
}

function markChanges() {
  for (const field of document.querySelectorAll('[data-asked]')) {
    const mark = () => field.classList.toggle('changed', field.value !== field.dataset.asked);
    field.addEventListener('input', mark);
    mark();
  }
}

/** An answer that was sent is not sent again by an impatient second press. */
function sendOnce() {
  for (const form of document.querySelectorAll('form[method="post"]')) {
    form.addEventListener('submit', (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = 'yes';
    });
  }
  addEventListener('pageshow', () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
}

function keys() {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select')) return;
    const cards = [...document.querySelectorAll('a.card')];
    const at = cards.indexOf(document.activeElement);
    switch (event.key) {
      case 'j': cards[Math.min(at + 1, cards.length - 1)]?.focus(); break;
      case 'k': cards[Math.max(at - 1, 0)]?.focus(); break;
      case 'g': location.assign('/console/'); break;
      case '?': location.assign('/console/help'); break;
      default: return;
    }
    event.preventDefault();
  });
}

showDistances();
setInterval(showDistances, 1000);
markChanges();
sendOnce();
keys();
follow();
