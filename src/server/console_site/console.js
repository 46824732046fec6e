// The page: brings the parts together, and knows the keys.

import { Actions, KEYS, keyOf } from './actions.js';
import { key } from './api.js';
import { $, attribute, h, say, text } from './dom.js';
import { Events } from './events.js';
import { bytes, clock, count, percent, shortName } from './format.js';
import { Output } from './output.js';
import { Store } from './store.js';
import { Sync } from './sync.js';
import { Table } from './table.js';
import { Who } from './who.js';

const store = new Store();
let link = { state: 'wait' };
let selected = null;
let tab = 'output';

const phone = matchMedia('(max-width: 719px)');

/** Whether the key allows to change a session, a job or a process. */
const may = (item) => who.may('manage', item.jobs ? item.session : (item.job ?? item).name);

const actions = new Actions({
  may,
  refuse(item) {
    if (link.state === 'gone') return 'The node does not answer.';
    if (link.state === 'locked') return 'The node asks for a key.';
    return may(item) ? null : 'This key may look, but change nothing here.';
  },
  done: (item) => (item.jobs ?? [item.job ?? item]).forEach((job) => sync.touch(job.name)),
  open: (item) => open(item, 'output'),
  events: (item) => open(item, 'events'),
});

const events = new Events({
  alarms(n) {
    const seen = tab === 'events' && document.body.dataset.view !== 'jobs';
    for (const badge of [$('alarms'), $('alarms-too')]) {
      badge.hidden = n === 0 || seen;
      text(badge, n > 99 ? '99+' : String(n));
      attribute(badge, 'aria-label', count(n, 'problem', 'problems'));
    }
  },
});

const output = new Output({ hint });

const table = new Table(store, {
  want: (item) => sync.want(item),
  open: (item) => open(item, 'output'),
  act: (name, item) => actions.act(name, item),
  menu: (item, at, pointer) => actions.choose(item, at, pointer),
  may,
});

const who = new Who({
  changed() {
    // Nothing of what another key has shown stays.
    store.takeStatus([]);
    table.loaded = false;
    totals();
    select(null);
    output.clear();
    events.clear();
    sync.sleep();
    sync.start();
  },
});

const sync = new Sync(store, who, {
  change: () => changed(),
  figures: () => changed(),
  event: (event, unasked) => events.take(event, unasked),
  link: (state, detail) => {
    link = { state, ...detail };
    linkChanged();
  },
});

function changed() {
  if (selected) {
    const job = selected.job ?? selected;
    // The same job, loaded again, is another object.
    if (store.jobs.get(job.name) !== job && store.jobs.has(job.name) && !selected.job) select(store.jobs.get(job.name));
  }
  table.loaded ||= link.state === 'live' || store.jobs.size > 0;
  table.render();
  totals();
  if (output.lines.length === 0) output.render();
}

function totals() {
  const { jobs, running, problems, cpu, memory } = store.totals();
  const items = [
    [count(jobs, 'job', 'jobs'), ''], [count(running, 'process', 'processes'), ''],
    [problems > 0 ? count(problems, 'problem', 'problems') : 'no problems', problems > 0 ? 'bad' : 'fine'],
    [`${percent(cpu)} CPU`, 'wide'], [bytes(memory), 'wide'],
  ];
  const list = $('totals');
  while (list.childElementCount < items.length) list.append(h('li'));
  items.forEach(([words, name], i) => {
    const item = list.children[i];
    if (i === 2) {
      if (!item.firstElementChild) item.append(h('button', { type: 'button', onclick: () => table.chips.choose('problems') }));
      text(item.firstElementChild, words);
    } else text(item, words);
    if (item.className !== name) item.className = name;
  });
  table.chips.count('problems', problems);
  const title = `${problems > 0 ? `(${problems}) ` : ''}${location.host} – gaffer`;
  if (document.title !== title) document.title = title;
}

function linkChanged() {
  const { state } = link;
  $('link').dataset.link = state;
  document.body.dataset.link = state;
  text($('link-text'), { live: who.isReader ? 'live, read only' : 'live', wait: 'connecting', gone: 'no connection', asleep: 'paused', locked: 'locked' }[state]);
  $('gone').hidden = state !== 'gone' && state !== 'locked';
  text($('retry'), state === 'locked' ? 'Give a key' : 'Try now');
  if (state === 'locked') {
    const why = `${link.why[0].toUpperCase()}${link.why.slice(1)}.`;
    text($('gone-what'), `The node at ${location.host} asks for a key.`);
    // Without a key there is nothing wrong yet.
    text($('gone-when'), key.get() ? why : '');
    who.ask(key.get() ? why : '');
  }
  table.locked = state === 'locked';
  table.render();
  attribute($('totals'), 'data-off', table.locked && store.jobs.size === 0 ? '' : null);
  seen();
  if (state === 'gone') {
    text($('gone-what'), `The node at ${location.host} does not answer.`);
    countdown();
  }
  if (state === 'live') changed();
}

function countdown() {
  if (link.state !== 'gone') return;
  const left = Math.max(0, Math.ceil((link.until - Date.now()) / 1000));
  const stale = store.jobs.size > 0 ? ` What you see is of ${clock(link.since / 1000)}.` : '';
  text($('gone-when'), `${link.why[0].toUpperCase()}${link.why.slice(1)}.${stale} ${left > 0 ? `Next try in ${left} s.` : 'Trying now …'}`);
}

/** Why there is no output. */
function hint(item) {
  if (!item) return store.jobs.size > 0 ? 'No program has written anything yet.' : 'The output of programs appears here.';
  const job = item.job ?? item;
  const { config } = job;
  if (!config) return 'Asking …';
  const files = [config.stdout_logfile, config.stderr_logfile].filter(Boolean);
  if (files.length > 0) return `${job.short} writes into ${files.join(' and ')}: what goes there as it is, is not kept here.`;
  if (!config.redirect_output?.length) return `The output of ${job.short} is not taken. With “redirect_output = out, err” in its definition it is shown here.`;
  return job.state === 'stopped' ? `${job.short} is stopped and has left no output.` : `${item.label ?? job.short} has written nothing yet.`;
}

function select(item) {
  selected = item;
  table.selected = item;
  table.render();
  events.select(item);
  output.show(item);
  const name = item ? (item.pid === undefined ? shortName(item.name) : item.label) : '';
  text($('subject'), item ? `of ${name}` : 'of all jobs');
  $('all').hidden = !item;
}

function open(item, which) {
  select(item);
  view(which);
  say(`${which === 'output' ? 'Output' : 'Events'} of ${item.label ?? shortName(item.name)}`);
  if (which === 'events') events.chips.choose('one');
}

/** `jobs`, `output` or `events`: on a phone one at a time. */
function view(which) {
  document.body.dataset.view = which;
  if (which !== 'jobs') {
    tab = which;
    for (const name of ['output', 'events']) {
      $(name).hidden = name !== which;
      attribute($(`tab-${name}`), 'aria-selected', String(name === which));
      $(`tab-${name}`).tabIndex = name === which ? 0 : -1;
    }
  }
  for (const button of document.querySelectorAll('nav button')) attribute(button, 'aria-current', button.dataset.to === which ? 'true' : null);
  if (which === 'events') events.alarm(0);
  else table.render();
  seen();
}

/** What cannot be seen costs nothing. */
function seen() {
  output.off(link.state === 'locked' || tab !== 'output' || (phone.matches && document.body.dataset.view === 'jobs'));
  if (tab === 'output' && output.follows) output.render();
}

const THEMES = ['auto', 'light', 'dark'];

function theme(next) {
  const root = document.documentElement;
  const now = root.dataset.theme ?? 'auto';
  const chosen = next ? THEMES[(THEMES.indexOf(now) + 1) % THEMES.length] : now;
  if (chosen === 'auto') delete root.dataset.theme;
  else root.dataset.theme = chosen;
  text($('theme-text'), chosen);
  attribute($('theme'), 'aria-label', `Theme: ${chosen}`);
  if (!next) return;
  try {
    localStorage.setItem('gaffer-theme', chosen);
  } catch {
    // It holds until the page is closed.
  }
  say(`Theme: ${chosen}`);
}

function zoom(on = document.body.dataset.zoom === undefined) {
  if (on) document.body.dataset.zoom = '';
  else delete document.body.dataset.zoom;
  $('zoom').setAttribute('aria-pressed', String(on));
  text($('zoom'), on ? 'Shrink' : 'Enlarge');
}

function back() {
  if (document.body.dataset.zoom !== undefined) zoom(false);
  else if (phone.matches && document.body.dataset.view !== 'jobs') view('jobs');
  else if (selected) select(null);
  table.focusActive();
}

const PAGE_KEYS = {
  '/': () => {
    view('jobs');
    $('filter').select();
  },
  f: () => {
    view('output');
    $('find').select();
  },
  p: () => output.pause(),
  c: () => (tab === 'output' ? output.clear() : events.clear()),
  w: () => output.flip('wrap'),
  i: () => output.flip('times'),
  End: () => output.toEnd(),
  a: () => table.expandAll(),
  z: () => zoom(),
  t: () => theme(true),
  1: () => {
    view('jobs');
    table.focusActive();
  },
  2: () => {
    view('output');
    $('lines').focus();
  },
  3: () => {
    view('events');
    $('log').focus();
  },
  Escape: back,
  '?': () => $('keys').showModal(),
};

function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]') || !$('menu').hidden) return;
  if (event.target.closest('input, select, textarea')) {
    if (event.key === 'Escape') table.focusActive();
    return;
  }
  const row = table.current;
  const inTable = $('rows').contains(document.activeElement);
  if (inTable && row && item(event.key, row)) event.preventDefault();
  else if (event.key in PAGE_KEYS) {
    event.preventDefault();
    PAGE_KEYS[event.key]();
  }
}

/** A key that means the row that has the focus. */
function item(pressed, { kind, item, key: id }) {
  const name = keyOf(pressed);
  if (pressed === 'm' || pressed === 'ContextMenu') actions.choose(item, table.made.get(id).element);
  else if (kind === 'session') return false;
  else if (pressed === 'e') open(item, 'events');
  else if (kind === 'job' && (pressed === '+' || pressed === '=')) actions.act('more', item);
  else if (kind === 'job' && (pressed === '-' || pressed === '−')) actions.act('less', item);
  else if (name && (kind === 'job' || name === 'stop' || name === 'kill')) actions.act(name, item);
  else return false;
  return true;
}

function setUp() {
  text($('node'), location.host);
  theme(false);
  $('theme').addEventListener('click', () => theme(true));
  $('help').addEventListener('click', () => $('keys').showModal());
  $('retry').addEventListener('click', () => (link.state === 'locked' ? who.ask() : sync.retryNow()));
  $('all').addEventListener('click', () => select(null));
  $('zoom').addEventListener('click', () => zoom());
  const tabs = [$('tab-output'), $('tab-events')];
  for (const name of ['output', 'events']) $(`tab-${name}`).addEventListener('click', () => view(name));
  tabs[0].parentElement.addEventListener('keydown', (event) => {
    if (!tabs.includes(event.target) || !['ArrowLeft', 'ArrowRight'].includes(event.key)) return;
    const other = tabs[1 - tabs.indexOf(event.target)];
    other.click();
    other.focus();
  });
  for (const button of document.querySelectorAll('nav button')) button.addEventListener('click', () => view(button.dataset.to));
  if (phone.matches) {
    output.flip('times');
    output.flip('wrap');
  }
  if (matchMedia('(pointer: coarse)').matches) for (const field of [$('filter'), $('find')]) field.placeholder = field.placeholder.replace(/ \(.\)$/, '');
  phone.addEventListener('change', seen);
  document.addEventListener('keydown', pressed);
  $('key-list').append(...KEYS.map(([title, keys]) => h('section', null, h('h3', null, title), h('dl', null, ...keys.flatMap(([k, what]) => [h('dt', null, ...k.split(' ').map((one) => h('kbd', null, one))), h('dd', null, what)])))));
  setInterval(() => {
    if (document.hidden) return;
    countdown();
    // Ages grow.
    table.render();
    totals();
  }, 1000);
  select(null);
  view('output');
  document.body.dataset.view = 'jobs';
  for (const button of document.querySelectorAll('nav button')) attribute(button, 'aria-current', button.dataset.to === 'jobs' ? 'true' : null);
  seen();
  sync.start();
}

setUp();
