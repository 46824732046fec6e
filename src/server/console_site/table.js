// The table of sessions, jobs and processes. Only the rows that are in view exist, and of those only what differs is written.

import { $, attribute, chips, eachFrame, h, text } from './dom.js';
import { age, bytes, clock, count, exit, percent } from './format.js';
import { Graph } from './graph.js';

/** Rows beyond the edges of the view, so that scrolling finds some. */
const MARGIN = 6;

/** Graphs reach at least so high: percent of a processor, bytes. */
const [LEAST_CPU, LEAST_MEMORY] = [10, 4 << 20];

/** Jobs with at most so many processes in all show them from the start. */
const FEW = 6;

/** Who came back less than so long ago, in s, is said to have. */
const FRESH = 60;

const SHOWN = {
  all: () => true,
  running: (job) => job.state === 'active',
  problems: (job) => job.isProblem,
  stopped: (job) => job.state === 'stopped',
};

export class Table {
  /** `on.want(item)`, `on.open(item)`, `on.act(action, item)`, `on.menu(item, button)`, `on.may(item)`. */
  constructor(store, on) {
    Object.assign(this, { store, on, open: new Map(), all: null, words: [], show: 'all', selected: null, active: null, rows: [], made: new Map() });
    this.box = $('table');
    this.body = $('rows');
    this.render = eachFrame(() => this.paint());
    this.box.addEventListener('scroll', this.render, { passive: true });
    new ResizeObserver(() => {
      this.measure();
      this.render();
    }).observe(this.box);
    this.measure();
    this.body.addEventListener('click', (event) => this.click(event));
    this.body.addEventListener('keydown', (event) => this.key(event));
    this.body.addEventListener('focusin', (event) => {
      const row = event.target.closest('[data-key]');
      if (row) this.activate(row.dataset.key);
    });
    this.body.addEventListener('contextmenu', (event) => {
      const item = this.itemOf(event.target);
      if (!item) return;
      event.preventDefault();
      this.on.menu(item, event.target.closest('[data-key]'), event);
    });
    $('filter').addEventListener('input', (event) => {
      this.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.render();
    });
    $('filter').addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.filter('');
      if (event.key === 'ArrowDown' || event.key === 'Enter') this.focus(0);
    });
    const choices = [['all', 'All'], ['running', 'Active'], ['problems', 'Problems'], ['stopped', 'Stopped']];
    this.chips = chips($('show'), choices, 'all', (value) => {
      this.show = value;
      this.render();
    });
    $('expand').addEventListener('click', () => this.expandAll());
  }

  filter(value) {
    $('filter').value = value;
    $('filter').dispatchEvent(new Event('input'));
  }

  /** Heights are those of the style sheet, which knows how wide the window and how thick the finger is. */
  measure() {
    const style = getComputedStyle(this.body);
    const height = (name) => Number.parseFloat(style.getPropertyValue(name));
    this.heights = { session: height('--session'), job: height('--job'), process: height('--process') };
    this.head = this.box.querySelector('.head').offsetHeight;
  }

  isOpen(job) {
    return this.open.get(job.name) ?? this.all ?? this.store.processes.size <= FEW;
  }

  expandAll() {
    const all = $('expand').getAttribute('aria-pressed') !== 'true';
    this.all = all;
    this.open.clear();
    this.render();
  }

  toggle(job, open = !this.isOpen(job)) {
    this.open.set(job.name, open);
    this.render();
  }

  matches(job) {
    if (!SHOWN[this.show](job)) return false;
    const haystack = `${job.name} ${job.health} ${[...job.processes.values()].map((p) => `${p.label} ${p.pid} ${p.osPid}`).join(' ')}`.toLowerCase();
    return this.words.every((word) => haystack.includes(word));
  }

  /** All rows, those out of view included. */
  list() {
    const sessions = new Map();
    for (const job of this.store.jobs.values()) {
      if (this.words.length === 0 && this.show === 'all' ? false : !this.matches(job)) continue;
      if (!sessions.has(job.session)) sessions.set(job.session, []);
      sessions.get(job.session).push(job);
    }
    const rows = [];
    let top = 0;
    const add = (kind, key, item, level) => {
      rows.push({ kind, key, item, level, top });
      top += this.heights[kind];
    };
    const onlyDefault = sessions.size === 1 && sessions.has('default');
    for (const [session, jobs] of sessions) {
      if (!onlyDefault) add('session', `s:${session}`, { session, jobs }, 1);
      for (const job of jobs) {
        add('job', `j:${job.name}`, job, onlyDefault ? 1 : 2);
        if (!this.isOpen(job)) continue;
        const processes = [...job.processes.values()].sort((a, b) => (a.instance ?? a.pid) - (b.instance ?? b.pid) || a.pid - b.pid);
        for (const process of processes) add('process', `p:${process.pid}`, process, onlyDefault ? 2 : 3);
      }
    }
    this.height = top;
    return rows;
  }

  paint() {
    if (document.hidden) return;
    this.rows = this.list();
    const rows = this.rows;
    attribute($('expand'), 'aria-pressed', String([...this.store.jobs.values()].every((job) => this.isOpen(job)) && this.store.jobs.size > 0));
    $('empty').hidden = rows.length > 0;
    document.body.classList.toggle('none', this.store.jobs.size === 0);
    if (rows.length === 0) this.paintEmpty();
    this.body.style.height = `${this.height}px`;
    attribute(this.box, 'aria-rowcount', String(rows.length + 1));
    const from = this.box.scrollTop - this.head;
    const to = from + this.box.clientHeight;
    let first = rows.findIndex((row) => row.top + this.heights[row.kind] > from);
    if (first < 0) first = Math.max(0, rows.length - 1);
    let last = first;
    while (last < rows.length && rows[last].top < to) last++;
    first = Math.max(0, first - MARGIN);
    last = Math.min(rows.length, last + MARGIN);
    if (!rows.some((row) => row.key === this.active)) this.active = rows[0]?.key ?? null;
    const now = Date.now() / 1000;
    const kept = new Set();
    const show = (row, index) => {
      kept.add(row.key);
      let made = this.made.get(row.key);
      if (!made) {
        made = MAKERS[row.kind]();
        made.element.dataset.key = row.key;
        this.made.set(row.key, made);
        this.body.append(made.element);
      }
      made.element.style.transform = `translateY(${row.top}px)`;
      attribute(made.element, 'aria-rowindex', String(index + 2));
      attribute(made.element, 'aria-level', String(row.level));
      const active = row.key === this.active;
      attribute(made.element, 'tabindex', active ? '0' : '-1');
      if (made.active !== active) {
        made.active = active;
        for (const button of made.element.querySelectorAll('button')) button.tabIndex = active ? 0 : -1;
      }
      attribute(made.element, 'aria-selected', row.item === this.selected ? 'true' : null);
      if (row.kind !== 'session') this.on.want(row.item);
      made.update(row.item, now, this);
    };
    for (let index = first; index < last; index++) show(rows[index], index);
    // Focus is not lost because its row has been scrolled away.
    const active = rows.findIndex((row) => row.key === this.active);
    if (active >= 0 && !kept.has(this.active) && this.made.get(this.active)?.element.contains(document.activeElement)) show(rows[active], active);
    for (const [key, made] of this.made) {
      if (kept.has(key)) continue;
      const had = made.element.contains(document.activeElement);
      made.element.remove();
      this.made.delete(key);
      if (had) this.focusActive();
    }
    this.order(kept);
  }

  /** What is read out and tabbed through is in the order that is seen. */
  order(kept) {
    let before = null;
    for (const row of this.rows) {
      if (!kept.has(row.key)) continue;
      const { element } = this.made.get(row.key);
      const next = before ? before.nextSibling : this.body.firstChild;
      if (next !== element && !element.contains(document.activeElement)) this.body.insertBefore(element, next);
      before = element;
    }
  }

  paintEmpty() {
    const box = $('empty');
    const none = this.store.jobs.size === 0;
    const state = this.locked && none ? 'locked' : this.loaded ? (none ? 'none' : 'filtered') : 'loading';
    if (box.dataset.state === state) return;
    box.dataset.state = state;
    if (state === 'locked') box.replaceChildren(h('p', null, 'Without a key there is nothing to see.'));
    else if (state === 'loading') box.replaceChildren(h('p', null, 'Asking the node …'));
    else if (state === 'filtered') {
      const reset = h('button', { type: 'button', onclick: () => this.reset() }, 'Show all');
      box.replaceChildren(h('p', null, 'No job matches.'), reset);
    } else {
      const line = (what, code) => h('li', null, what, h('code', null, code));
      box.replaceChildren(
        h('h2', null, 'This node runs nothing yet'),
        h('p', null, 'A job is a program to be kept alive. To give it one:'),
        h('ul', null,
          line('the Procfile of the current folder ', 'gaffer load'),
          line('one program ', `curl ${location.origin}/jobs/default -d '{"name": "web", "cmd": "python3 -m http.server", "redirect_output": ["out", "err"]}'`),
          line('for good, a section of its configuration ', '[process:web]\ncmd = python3 -m http.server\nredirect_output = out, err'),
        ),
        h('p', null, 'It shows here as soon as it is there.'),
      );
    }
  }

  reset() {
    this.filter('');
    this.chips.choose('all');
  }

  itemOf(target) {
    const key = target.closest('[data-key]')?.dataset.key;
    return this.rows.find((row) => row.key === key)?.item;
  }

  /** The job or process that keys mean. */
  get current() {
    const row = this.rows.find((row) => row.key === this.active);
    return row ?? null;
  }

  activate(key) {
    if (this.active === key) return;
    this.active = key;
    this.render();
  }

  focus(index) {
    const row = this.rows[Math.max(0, Math.min(index, this.rows.length - 1))];
    if (!row) return;
    this.active = row.key;
    const top = row.top;
    const bottom = row.top + this.heights[row.kind];
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (bottom + this.head > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = bottom + this.head - this.box.clientHeight;
    this.paint();
    this.focusActive();
  }

  focusActive() {
    this.made.get(this.active)?.element.focus({ preventScroll: true });
  }

  click(event) {
    const item = this.itemOf(event.target);
    if (!item) return;
    const button = event.target.closest('button');
    const action = button?.dataset.act;
    if (action === 'toggle') this.toggle(item);
    else if (action === 'menu') this.on.menu(item, button);
    else if (action) this.on.act(action, item);
    else if (!item.jobs) this.on.open(item);
  }

  key(event) {
    if (event.target.closest('button') || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = this.rows.findIndex((row) => row.key === this.active);
    const row = this.rows[index];
    if (!row) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.heights.job) - 1);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in moves) this.focus(index + moves[event.key]);
    else if (event.key === 'ArrowRight' && row.kind === 'job') this.isOpen(row.item) ? this.focus(index + 1) : this.toggle(row.item, true);
    else if (event.key === 'ArrowLeft' && row.kind === 'job') this.toggle(row.item, false);
    else if (event.key === 'ArrowLeft' && row.kind === 'process') this.focus(this.rows.findIndex((other) => other.item === row.item.job));
    else if ((event.key === 'Enter' || event.key === ' ') && row.kind !== 'session') this.on.open(row.item);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

const cell = (name, ...children) => h(`span.${name}`, { role: 'gridcell' }, ...children);

const button = (action, label, symbol, extra = '') =>
  h(`button.${symbol ? 'symbol' : 'word'}${extra}`, { type: 'button', 'data-act': action, title: label, 'aria-label': symbol ? label : null }, symbol ?? label);

/** A shape, so that states differ for those who do not see colours. */
function stateCell() {
  const [shape, word, more] = [h('i.shape', { 'aria-hidden': 'true' }), h('span.word'), h('small')];
  const element = cell('state', shape, word, more);
  return {
    element,
    /** A state of two words is one for the style sheet. */
    set(state, detail) {
      attribute(element, 'data-state', state.replace(' ', '-'));
      text(word, state);
      text(more, detail);
    },
  };
}

function figures(element) {
  const made = [['cpu', 1, LEAST_CPU, percent], ['memory', 2, LEAST_MEMORY, bytes]].map(([name, column, least, format]) => {
    const graph = new Graph(column, least);
    const number = h('span');
    element.append(cell(name, graph.element, number));
    return { name, graph, number, format };
  });
  return (ring, idle, now) => {
    const last = idle ? null : ring.last;
    for (const { name, graph, number, format } of made) {
      text(number, last ? format(last[name]) : '–');
      graph.draw(ring, now);
    }
  };
}

/** What there is to say of a job beside its health. */
function remark(job, now) {
  const { health, retry, lastExit } = job;
  if (health === 'flapping' && retry?.at) {
    const left = retry.at - now;
    return `try ${retry.n} ${left > 0 ? `in ${age(left + 1)}` : 'now'}`;
  }
  if (job.logs.some((log) => log.failing)) return 'log file fails';
  if (health === 'active') {
    if (job.running < job.wanted) return 'starting';
    return job.restarts > 0 && now - job.started < FRESH ? 'back again' : '';
  }
  if (health === 'stopped') return job.processes.size > 0 ? 'stopping' : '';
  return health !== 'finished' && lastExit ? exit(lastExit) : '';
}

const MAKERS = {
  session() {
    const name = h('b');
    const sum = h('small');
    const menu = button('menu', 'More', '⋯');
    const element = h('div.row.session', { role: 'row' }, cell('name', name, ' ', sum), cell('actions', menu));
    const update = ({ session, jobs }, now, table) => {
      // There is nothing else in it.
      menu.hidden = !table.on.may({ session, jobs });
      text(name, session);
      text(sum, count(jobs.length, 'job', 'jobs'));
      attribute(menu, 'aria-label', `More for all jobs of ${session}`);
    };
    return { element, update };
  },

  job() {
    const twisty = button('toggle', 'Processes', '▸', '.twisty');
    const name = h('b');
    const state = stateCell();
    const number = h('output', { title: 'running of wanted' });
    const [less, more] = [button('less', 'One process less', '−'), button('more', 'One process more', '+')];
    const [up, restarts] = [cell('up.num'), cell('restarts.num')];
    const element = h('div.row.job', { role: 'row' }, cell('name', twisty, name), state.element, cell('scale', less, number, more), up, restarts);
    const draw = figures(element);
    const [power, restart, menu] = [button('start', 'Start'), button('restart', 'Restart'), button('menu', 'More', '⋯')];
    element.append(cell('actions', power, restart, menu));
    const update = (job, now, table) => {
      const open = table.isOpen(job);
      attribute(element, 'aria-expanded', String(open));
      text(twisty, open ? '▾' : '▸');
      attribute(twisty, 'aria-label', `${open ? 'Hide' : 'Show'} processes of ${job.short}`);
      text(name, job.label);
      state.set(job.health, remark(job, now));
      attribute(element, 'data-state', job.health.replace(' ', '-'));
      text(number, `${job.running}/${job.state === 'stopped' ? 0 : job.wanted}`);
      attribute(number, 'aria-label', `${job.running} of ${job.wanted} running`);
      less.disabled = job.wanted === 0 || job.state === 'stopped';
      more.disabled = job.state === 'stopped';
      text(up, job.started === null ? '–' : age(now - job.started));
      text(restarts, String(job.restarts));
      attribute(restarts, 'title', job.lastExit ? `last exit: ${exit(job.lastExit)}, ${age(now - job.lastExit.time)} ago` : null);
      attribute(restarts, 'data-some', job.restarts > 0 ? '' : null);
      draw(job.ring, job.processes.size === 0, now);
      const action = job.state === 'stopped' ? 'start' : 'stop';
      attribute(power, 'data-act', action);
      text(power, action === 'start' ? 'Start' : 'Stop');
      attribute(power, 'title', `${action === 'start' ? 'Start' : 'Stop'} ${job.short} (${action === 'start' ? 's' : 'x'})`);
      restart.disabled = job.state === 'stopped';
      // What would only be refused is not offered.
      const may = table.on.may(job);
      for (const offered of [power, restart, less, more]) offered.hidden = !may;
      attribute(menu, 'aria-label', `More for ${job.short}`);
    };
    return { element, update };
  },

  process() {
    const [name, number] = [h('span'), h('small')];
    const state = stateCell();
    const up = cell('up.num');
    const element = h('div.row.process', { role: 'row' }, cell('name', name), state.element, cell('scale', number), up, cell('restarts.num'));
    const draw = figures(element);
    const [stop, menu] = [button('stop', 'Stop'), button('menu', 'More', '⋯')];
    element.append(cell('actions', stop, menu));
    const update = (process, now, table) => {
      stop.hidden = !table.on.may(process);
      text(name, process.label);
      text(number, process.osPid === null ? `${process.pid} · –` : `${process.pid} · ${process.osPid}`);
      attribute(number, 'title', `number ${process.pid} of this node, ${process.osPid ?? 'none yet'} of the system`);
      state.set(process.state, process.once ? 'once' : '');
      attribute(element, 'data-state', process.state);
      text(up, process.started === null ? '–' : age(now - process.started));
      attribute(up, 'title', process.started === null ? null : `since ${new Date(process.started * 1000).toLocaleDateString()} ${clock(process.started)}`);
      draw(process.ring, false, now);
      stop.disabled = process.state === 'stopping';
      attribute(menu, 'aria-label', `More for ${process.label}`);
    };
    return { element, update };
  },
};
