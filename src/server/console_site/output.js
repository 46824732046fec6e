// The output of a job, of a process, or of all: what is kept of it, then what comes.

import { feed } from './api.js';
import { nodes, parse } from './ansi.js';
import { $, attribute, chips, eachFrame, h, text } from './dom.js';
import { clock, count } from './format.js';

/** So many lines are kept here; the oldest go first. */
const MOST = 4000;

/** So many lines wait to be drawn, which happens this often, in ms; of a torrent the oldest are left out, unread, and counted. */
const [WAITING, PAUSE] = [500, 150];

/** So much of the past is asked for. */
const PAST = 500;

/** So many streams have their colours remembered from one line to the next. */
const STREAMS = 1000;

/** The pauses before a feed that broke is tried again, in ms. */
const AGAIN = 2000;

export class Output {
  /** `on.hint(item)` says why there may be nothing. */
  constructor(on) {
    Object.assign(this, { on, item: null, lines: [], waiting: [], skipped: 0, held: 0, styles: new Map(), test: null, fds: 'all', paused: false, follows: true });
    this.box = $('lines');
    this.render = eachFrame(() => this.flush(), PAUSE);
    this.box.addEventListener('scroll', () => this.scrolled(), { passive: true });
    $('follow').addEventListener('click', () => this.toEnd());
    $('pause').addEventListener('click', () => this.pause());
    $('clear').addEventListener('click', () => this.clear());
    $('wrap').addEventListener('click', () => this.flip('wrap'));
    $('times').addEventListener('click', () => this.flip('times'));
    this.box.classList.toggle('times', true);
    $('find').addEventListener('input', () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.search(), 120);
    });
    $('find').addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && $('find').value !== '') {
        $('find').value = '';
        this.search();
        event.stopPropagation();
      }
    });
    this.chips = chips($('fds'), [['all', 'All'], ['err', 'stderr']], 'all', (value) => {
      this.fds = value;
      this.again();
    });
    document.addEventListener('visibilitychange', () => (document.hidden ? this.stop() : this.start()));
  }

  /** A job, a process, or `null` for all. */
  show(item) {
    if (this.item === item && this.visit) return;
    this.stop();
    this.item = item;
    this.box.classList.toggle('one', item !== null);
    this.last = null;
    this.clear();
    this.start();
  }

  flip(name) {
    const on = $(name).getAttribute('aria-pressed') !== 'true';
    $(name).setAttribute('aria-pressed', String(on));
    this.box.classList.toggle(name, on);
    if (this.follows) this.toEnd();
  }

  get query() {
    if (!this.item) return '';
    return this.item.pid === undefined ? `&job=${encodeURIComponent(this.item.name)}` : `&pid=${this.item.pid}`;
  }

  start() {
    if (this.visit || document.hidden || this.isOff) return;
    this.visit = new AbortController();
    this.run(this.visit.signal);
  }

  /** No feed, as long as nobody can see it. */
  off(isOff) {
    this.isOff = isOff;
    if (isOff) this.stop();
    else this.start();
  }

  stop() {
    this.visit?.abort();
    this.visit = null;
  }

  async run(signal) {
    while (!signal.aborted) {
      // After a pause what is kept overlaps what is here already.
      this.overlap = this.last;
      try {
        await feed(`logs?n=${PAST}${this.query}`, { signal, each: (name, data) => !signal.aborted && this.put({ name, data }) });
        // That of a process ends with it.
        if (this.item?.pid !== undefined) return;
      } catch {
        // The table says that the node is gone.
      }
      if (!signal.aborted) await new Promise((done) => setTimeout(done, AGAIN));
    }
  }

  /** The lines of a piece of the feed. */
  read({ name, data }) {
    const record = JSON.parse(data);
    if (name === 'gap') {
      return [{ note: record.dropped ? `${count(record.dropped, 'line was', 'lines were')} left out` : 'some lines were left out' }];
    }
    if (this.overlap) {
      if (record.time <= this.overlap) return [];
      this.overlap = null;
    }
    this.last = Math.max(this.last ?? 0, record.time);
    const key = `${record.pid}:${record.fd}`;
    return decode(record).replace(/\r?\n$/, '').split('\n').map((raw) => {
      const { pieces, plain, style, cut } = parse(raw, this.styles.get(key));
      if (this.styles.size > STREAMS) this.styles.clear();
      this.styles.set(key, style);
      return { time: record.time, from: `${record.name.replace(/^default\./, '')}.${record.instance}`, err: isError(record), label: record.label, pid: record.pid, pieces, plain, cut };
    });
  }

  put(piece) {
    this.waiting.push(piece);
    if (this.waiting.length > (this.paused ? MOST : WAITING)) {
      this.waiting.shift();
      this.skipped++;
    }
    this.render();
  }

  flush() {
    if (this.paused) {
      const n = this.waiting.length + this.skipped;
      text($('pause'), n > 0 ? `Resume (${n} new)` : 'Resume');
      return;
    }
    const fresh = this.waiting.flatMap((piece) => this.read(piece));
    this.waiting = [];
    if (this.skipped > 0) {
      fresh.unshift({ note: `${count(this.skipped, 'line was', 'lines were')} too quick to be shown` });
      this.skipped = 0;
    }
    if (fresh.length > 0) {
      this.lines.push(...fresh);
      this.append(fresh);
      while (this.lines.length > MOST) this.lines.shift().element?.remove();
    }
    this.finish();
  }

  append(lines) {
    const part = document.createDocumentFragment();
    for (const line of lines) {
      line.element = null;
      const ranges = this.matches(line);
      if (ranges) part.append((line.element = this.draw(line, ranges)));
    }
    const added = part.childElementCount;
    this.box.append(part);
    if (!this.follows) this.held += added;
  }

  draw(line, ranges) {
    if (line.note) return h('div.line.note', null, line.note);
    const time = h('time', { datetime: new Date(line.time * 1000).toISOString(), title: new Date(line.time * 1000).toLocaleString() }, clock(line.time, true));
    const from = h('span.from', { title: `${line.from}, number ${line.pid}, ${line.label}` }, line.from);
    from.dataset.hue = String(hue(line.from));
    const content = h('span.text', null, ...nodes(line.pieces, ranges));
    if (line.cut) content.append(h('span.cut', null, ` … ${line.cut} more`));
    // A line that is read aloud or copied says where it came from, too.
    return h(line.err ? 'div.line.err' : 'div.line', null, time, from, line.err ? h('abbr', { title: 'standard error' }, 'err') : h('i'), content);
  }

  /** Where it has what is searched for; `null` where it has not. */
  matches(line) {
    if (line.note) return this.test ? null : [];
    if (this.fds === 'err' && !line.err) return null;
    if (!this.test) return [];
    const ranges = this.test(line.plain);
    return ranges.length > 0 ? ranges : null;
  }

  search() {
    const wanted = $('find').value;
    const [test, fault] = matcher(wanted);
    this.test = test;
    attribute($('find'), 'aria-invalid', fault ? 'true' : null);
    $('find').title = fault ?? '';
    this.again();
  }

  /** Draws all of it once more. */
  again() {
    this.box.replaceChildren();
    this.append(this.lines);
    this.finish();
    if (this.follows) this.toEnd();
  }

  finish() {
    const shown = this.box.childElementCount;
    text($('found'), this.test ? `${shown} of ${this.lines.length}` : '');
    const empty = shown === 0;
    $('no-lines').hidden = !empty;
    if (empty) text($('no-lines'), this.lines.length > 0 ? 'No line matches.' : this.on.hint(this.item));
    if (this.follows) this.box.scrollTop = this.box.scrollHeight;
    const follow = $('follow');
    follow.hidden = this.follows;
    if (!this.follows) text(follow, this.held > 0 ? `↓ ${count(this.held, 'new line', 'new lines')}` : '↓ Follow');
  }

  scrolled() {
    const follows = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 24;
    if (follows === this.follows) return;
    this.follows = follows;
    if (follows) this.held = 0;
    this.finish();
  }

  toEnd() {
    this.follows = true;
    this.held = 0;
    this.finish();
  }

  pause(paused = !this.paused) {
    this.paused = paused;
    $('pause').setAttribute('aria-pressed', String(paused));
    text($('pause'), paused ? 'Resume' : 'Pause');
    this.render();
  }

  clear() {
    Object.assign(this, { lines: [], waiting: [], skipped: 0, held: 0, follows: true });
    this.box.replaceChildren();
    if (!this.item) this.styles.clear();
    this.render();
    if (this.paused) this.finish();
  }
}

/** Descriptor 2, and what a job calls so where descriptors say less. */
const isError = (record) => record.fd === 2 || /^(std)?err(or)?$/i.test(record.label);

function decode(record) {
  if (record.data !== undefined) return record.data;
  const bytes = Uint8Array.from(atob(record.data_base64), (character) => character.charCodeAt(0));
  return new TextDecoder().decode(bytes);
}

/** A function that finds all places, and why it could not be made. */
function matcher(wanted) {
  if (wanted === '') return [null, null];
  const regex = /^\/(.+?)\/?$/.exec(wanted);
  if (regex) {
    try {
      const pattern = new RegExp(regex[1], 'giu');
      return [(line) => [...line.matchAll(pattern)].filter((match) => match[0]).map((match) => [match.index, match.index + match[0].length]), null];
    } catch (error) {
      return [() => [], error.message];
    }
  }
  const word = wanted.toLowerCase();
  return [
    (line) => {
      const [ranges, low] = [[], line.toLowerCase()];
      for (let at = low.indexOf(word); at >= 0; at = low.indexOf(word, at + word.length)) ranges.push([at, at + word.length]);
      return ranges;
    },
    null,
  ];
}

/** One of eight colours by name, so that programs can be told apart. */
function hue(name) {
  let n = 0;
  for (const character of name) n = (n * 31 + character.codePointAt(0)) >>> 0;
  return n % 8;
}
