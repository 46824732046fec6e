// Keeps the store in step with the node, and says whether the node is there. Nothing of this runs while the page is hidden.

import { api, feed, jobPath } from './api.js';

/** The first and the longest pause before the node is tried again, in ms. */
const PAUSES = [1000, 10_000];

/** So many requests for details are under way at a time: browsers have six connections to one server, feeds need three. */
const AT_ONCE = 2;

/** Of more jobs than this that changed at once, the table is asked for as a whole. */
const MANY = 25;

/** Changes are gathered for so long, in ms. */
const GATHER = 120;

/** A crash loop is over when nothing has crashed for a while, which no event tells: such jobs are looked at this often, in ms. */
const FADE = 5000;

/** With more processes than this, samples come less often. */
const CROWD = 150;

export class Sync {
  /** `who` has the key. `on.link(state, detail)`, `on.event(event, unasked)`, `on.change()`, `on.figures()`. */
  constructor(store, who, on) {
    Object.assign(this, { store, who, on, dirty: new Set(), wanted: new Set(), busy: 0, lastId: '', events: 0, visit: null, pause: PAUSES[0], lost: null });
    document.addEventListener('visibilitychange', () => (document.hidden ? this.sleep() : this.start()));
    window.addEventListener('pagehide', () => this.sleep());
    window.addEventListener('pageshow', () => !document.hidden && this.start());
  }

  start() {
    if (this.visit || document.hidden) return;
    this.visit = new AbortController();
    this.run(this.visit.signal);
  }

  sleep() {
    this.visit?.abort();
    this.visit = null;
    this.on.link('asleep');
  }

  retryNow() {
    this.skipPause?.();
  }

  async run(signal) {
    while (!signal.aborted) {
      let why;
      try {
        if (!this.lost) this.on.link('wait');
        await this.connected(signal);
        why = 'it has closed the connection';
      } catch (error) {
        why = error.message;
        if (!signal.aborted && this.who.refused(error)) {
          // The same would be said again and again.
          this.on.link('locked', { why });
          await new Promise((done) => {
            this.skipPause = done;
            signal.addEventListener('abort', done);
          });
          [this.lost, this.pause] = [null, PAUSES[0]];
          continue;
        }
      }
      if (signal.aborted) return;
      this.lost ??= Date.now();
      const until = Date.now() + this.pause;
      this.pause = Math.min(this.pause * 2, PAUSES[1]);
      this.on.link('gone', { since: this.lost, until, why });
      await new Promise((done) => {
        this.skipPause = done;
        setTimeout(done, until - Date.now());
        signal.addEventListener('abort', done);
      });
    }
  }

  /** As long as the connection holds. Events are taken from the moment on from which the state is asked for. */
  async connected(outer) {
    const visit = new AbortController();
    const { signal } = visit;
    const end = () => visit.abort();
    outer.addEventListener('abort', end);
    await this.who.learn(signal).catch((error) => {
      end();
      throw error;
    });
    const fading = setInterval(() => this.fade(), FADE);
    const events = new Promise((done, failed) => {
      let ready;
      const opened = new Promise((resolve) => (ready = resolve));
      const took = feed('watch', { signal, lastId: this.lastId, opened: ready, each: (name, data, id) => this.event(name, data, id) });
      took.then(() => done(), failed);
      opened.then(() => this.all(signal)).then(() => {
        if (signal.aborted) return;
        [this.lost, this.pause] = [null, PAUSES[0]];
        this.on.link('live');
        this.sample(signal).catch(failed);
      }, failed);
    });
    try {
      await events;
    } finally {
      clearInterval(fading);
      end();
      outer.removeEventListener('abort', end);
    }
  }

  fade() {
    for (const job of this.store.jobs.values()) if (job.health === 'crash loop') this.dirty.add(job.name);
    if (this.dirty.size > 0) this.soon();
  }

  async all(signal) {
    const asked = this.events;
    const [status, version, stats] = await Promise.all([
      this.sees ? api('GET', 'status', { signal }) : null,
      api('GET', 'version', { signal }),
      api('GET', 'stats', { signal }),
    ]);
    const { store } = this;
    this.version = version.version;
    store.takeStatus(status?.jobs ?? stats.map(guess), asked);
    const now = Date.now() / 1000;
    const there = new Set();
    for (const job of stats) {
      for (const process of job.stats) {
        // The number may be another's since a restart of the node.
        const known = store.processes.get(process.pid);
        if (known && (known.job.name !== job.name || (known.osPid ?? process.os_pid) !== process.os_pid)) store.forget(process.pid);
        store.takeStats(process, now);
        there.add(process.pid);
      }
    }
    // One that is starting comes back with the details of its job.
    for (const [pid, process] of store.processes) if (!there.has(pid) && process.job.changed <= asked) store.forget(pid);
    for (const process of store.processes.values()) process.known = false;
    for (const job of store.jobs.values()) job.config = null;
    store.addUp(now);
    if (!this.sees) for (const job of store.jobs.values()) this.want(job);
    this.on.change();
  }

  /** Whether the key may ask for all jobs at once; if not they are asked for one by one. */
  get sees() {
    return this.who.may('manage', '*');
  }

  async sample(signal) {
    while (!signal.aborted) {
      const often = this.store.processes.size <= CROWD;
      let timer;
      const stop = new AbortController();
      const end = () => stop.abort();
      signal.addEventListener('abort', end);
      const each = (name, data) => {
        this.store.takeStats(JSON.parse(data), Date.now() / 1000);
        // The samples of a round come one after the other.
        timer ??= setTimeout(() => {
          timer = null;
          this.store.addUp(Date.now() / 1000);
          this.on.figures();
          if (often !== this.store.processes.size <= CROWD) stop.abort();
        }, 250);
      };
      try {
        await feed(`stats?interval=${often ? 2 : 5}`, { signal: stop.signal, each });
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
      }
      // It does not end by itself.
      if (!stop.signal.aborted) throw new Error('it has ended the feed of figures');
    }
  }

  event(name, data, id) {
    if (id) this.lastId = id;
    const event = JSON.parse(data);
    if (name === 'gap') {
      this.on.event({ event: 'gap', time: Date.now() / 1000, dropped: event.dropped }, false);
      return;
    }
    // Each comes twice: under its own name, and under that of its job.
    if (name.startsWith('proc.')) return;
    const unasked = this.store.takeEvent(event);
    if (event.name) this.touch(event.name);
    this.on.event(event, unasked);
    this.on.change();
  }

  /** This job has changed, and is to be looked at again. */
  touch(name) {
    this.events++;
    if (this.store.jobs.has(name)) this.store.jobs.get(name).changed = this.events;
    this.dirty.add(name);
    this.soon();
  }

  /** The table shows this one: whatever is not known of it yet is asked for. */
  want(item) {
    const known = item.pid === undefined ? item.config !== null : item.known;
    if (known || this.wanted.has(item)) return;
    this.wanted.add(item);
    this.soon();
  }

  soon() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.look();
    }, GATHER);
  }

  async look() {
    const signal = this.visit?.signal;
    if (!signal || this.busy >= AT_ONCE) return;
    this.busy++;
    try {
      while (!signal.aborted && (await this.one(signal)));
    } catch {
      // The feed of events notices it as well, and says so.
    } finally {
      this.busy--;
      if (!signal.aborted && (this.dirty.size > 0 || this.wanted.size > 0)) this.soon();
    }
  }

  /** Asks for one thing; whether there was one. */
  async one(signal) {
    const { store } = this;
    const asked = this.events;
    if (this.sees && this.dirty.size > MANY) {
      const names = [...this.dirty];
      this.dirty.clear();
      store.takeStatus((await api('GET', 'status', { signal })).jobs, asked);
      for (const name of names) if (store.jobs.has(name)) store.jobs.get(name).config = null;
      this.on.change();
      return true;
    }
    const [name] = this.dirty;
    if (name !== undefined) {
      this.dirty.delete(name);
      if (store.jobs.has(name)) await this.details(store.jobs.get(name), signal);
      return true;
    }
    const [item] = this.wanted;
    if (item === undefined) return false;
    if (item.pid === undefined) await this.details(item, signal);
    else if (store.processes.get(item.pid) === item) {
      const info = await this.ask(String(item.pid), signal);
      if (info) store.takeProcess(item, info, asked);
      else store.forget(item.pid);
      this.on.change();
    }
    this.wanted.delete(item);
    return true;
  }

  async details(job, signal) {
    const asked = this.events;
    const info = await this.ask(jobPath(job.name), signal);
    if (info) this.store.takeJob(job, info, asked);
    else if (job.changed <= asked) this.store.remove(job.name);
    this.wanted.delete(job);
    this.on.change();
  }

  /** `null` if it is gone meanwhile. */
  async ask(path, signal) {
    try {
      return await api('GET', path, { signal });
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  }
}

/** What the figures tell of a job, until it is looked at. */
function guess({ name, stats }) {
  const running = stats.length;
  const state = running > 0 ? 'active' : 'stopped';
  return { name, state, health: state, restarts: 0, last_exit: null, started: null, running, numprocesses: running, ending: [] };
}
