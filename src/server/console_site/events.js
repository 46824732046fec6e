// The log of events: what happened, to what, and whether it is bad news.

import { $, chips, eachFrame, h, text } from './dom.js';
import { clock, count, shortName, signalName } from './format.js';

/** So many are kept. */
const MOST = 1000;

/** They are drawn this often, in ms. */
const PAUSE = 150;

const SAYS = {
  create: () => 'loaded',
  start: () => 'starts',
  stop: () => 'stops',
  restart: () => 'restarts, new processes first',
  update: (e) => `wants ${count(e.numprocesses, 'process', 'processes')}`,
  delete: () => 'unloaded',
  spawn: (e) => `process ${e.pid} has started (${e.os_pid})`,
  reap: (e) => `process ${e.pid} is surplus and told to end`,
  stop_pid: (e) => `process ${e.pid} is told to end`,
  exit: (e) => `process ${e.pid} ${ending(e)}`,
  flap: (e) => (e.next_try === null ? 'crashed too often and was given up' : `crashes too often: try ${e.retry} in ${e.retry_in} s`),
  kill: (e) => `${signalName(e.signum)} sent to ${e.pid === undefined ? 'all processes' : `process ${e.pid}`}`,
  fault: (e) => `${e.source}: ${e.reason}`,
  overflow: (e) => `${count(e.dropped, 'event was', 'events were')} dropped by the node`,
  gap: (e) => (e.dropped ? `${count(e.dropped, 'event was', 'events were')} missed` : 'some events were missed'),
};

function ending(e) {
  if (e.reason) return `failed: ${e.reason}`;
  if (e.term_signal !== null) return `was ended by ${signalName(e.term_signal)}${e.core ? ', core dumped' : ''}`;
  return `has ended with code ${e.exit_code}`;
}

/** `bad`, `good` or nothing. */
function mood(e, unasked) {
  if (['flap', 'fault', 'overflow', 'gap'].includes(e.event)) return 'bad';
  if (e.event === 'exit' && (e.reason || (unasked && (e.exit_code !== 0 || e.term_signal !== null)))) return 'bad';
  return e.event === 'spawn' || e.event === 'start' ? 'good' : '';
}

export class Events {
  /** `on.alarms(n)`: so much bad news since the log was looked at last. */
  constructor(on) {
    Object.assign(this, { on, all: [], fresh: [], kind: 'all', item: null, alarms: 0 });
    this.box = $('log');
    this.render = eachFrame(() => this.flush(), PAUSE);
    this.chips = chips($('kinds'), [['all', 'All'], ['bad', 'Problems'], ['one', 'Selected job']], 'all', (kind) => {
      this.kind = kind;
      this.again();
    });
    $('clear-events').addEventListener('click', () => this.clear());
  }

  take(event, unasked) {
    const entry = { event, mood: mood(event, unasked), element: null };
    this.fresh.push(entry);
    if (this.fresh.length > MOST) this.fresh.shift();
    if (entry.mood === 'bad') this.alarm(this.alarms + 1);
    this.render();
  }

  alarm(n) {
    this.alarms = n;
    this.on.alarms(n);
  }

  select(item) {
    this.item = item;
    if (this.kind === 'one') this.again();
  }

  shows({ event, mood }) {
    if (this.kind === 'bad') return mood === 'bad';
    return this.kind === 'all' || !this.item || event.name === (this.item.job ?? this.item).name;
  }

  flush() {
    if (document.hidden) return;
    const fresh = this.fresh;
    this.fresh = [];
    this.all.push(...fresh);
    while (this.all.length > MOST) {
      const old = this.all.shift();
      old.isGone = true;
      old.element?.remove();
    }
    const kept = fresh.filter((entry) => this.shows(entry) && !entry.isGone);
    this.box.prepend(...kept.reverse().map((entry) => this.draw(entry)));
    this.finish();
  }

  draw(entry) {
    const { event } = entry;
    const says = (SAYS[event.event] ?? (() => ''))(event);
    entry.element = h('li', { 'data-mood': entry.mood || null },
      h('time', { title: new Date(event.time * 1000).toLocaleString() }, clock(event.time)),
      h('b', null, event.event.replace('_', ' ')),
      h('span.from', null, event.name ? shortName(event.name) : 'node'),
      h('span.says', null, entry.mood === 'bad' ? h('span.hush', null, 'Problem: ') : null, says));
    return entry.element;
  }

  again() {
    this.flush();
    for (const entry of this.all) entry.element = null;
    this.box.replaceChildren(...this.all.filter((entry) => this.shows(entry)).reverse().map((entry) => this.draw(entry)));
    this.finish();
  }

  finish() {
    const empty = $('no-events');
    empty.hidden = this.box.childElementCount > 0;
    text(empty, this.all.length === 0 ? 'Nothing has happened since this page was opened.' : 'Nothing of this kind has happened.');
  }

  clear() {
    this.all = [];
    this.fresh = [];
    this.again();
    this.alarm(0);
  }
}
