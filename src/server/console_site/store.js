// What is known of the node: jobs, their processes, and what these have used in the last two minutes.

/** So far back graphs go, in s. */
export const WINDOW = 120;

/** So many samples are kept of each. */
const SAMPLES = 64;

/** What a job is when it does not do what it is there for. */
const PROBLEMS = ['crash loop', 'flapping', 'gave up'];

/** Samples in a ring: time, cpu, memory. */
export class Ring {
  constructor() {
    this.data = new Float64Array(3 * SAMPLES);
    this.next = 0;
    this.length = 0;
  }

  push(time, cpu, memory) {
    this.data.set([time, cpu, memory], 3 * this.next);
    this.next = (this.next + 1) % SAMPLES;
    this.length = Math.min(this.length + 1, SAMPLES);
  }

  /** `f(time, value)` of each, the oldest first; `column` is 1 for cpu, 2 for memory. */
  each(column, f) {
    for (let i = this.length; i > 0; i--) {
      const at = 3 * ((this.next - i + SAMPLES) % SAMPLES);
      f(this.data[at], this.data[at + column]);
    }
  }

  get last() {
    if (this.length === 0) return null;
    const at = 3 * ((this.next - 1 + SAMPLES) % SAMPLES);
    return { time: this.data[at], cpu: this.data[at + 1], memory: this.data[at + 2] };
  }
}

class Process {
  constructor(pid, job) {
    Object.assign(this, { pid, job, osPid: null, instance: null, state: 'starting', started: null, once: false, known: false });
    this.ring = new Ring();
  }

  get label() {
    return this.instance === null ? `${this.job.short} #${this.pid}` : `${this.job.short}.${this.instance}`;
  }
}

class Job {
  constructor(name) {
    const [session, label] = name.split('.');
    Object.assign(this, { name, session, label, state: 'stopped', running: 0, wanted: 0, config: null, logs: [] });
    /** How it stands, in the node's own words and numbers: `gafferctl status` shows the same. */
    Object.assign(this, { health: 'stopped', restarts: 0, lastExit: null, started: null });
    this.short = session === 'default' ? label : name;
    this.processes = new Map();
    this.ring = new Ring();
    /** Its next try, while it flaps: which one, and when. */
    this.retry = null;
    /** The number of its last event: what was asked for before that is not news any more. */
    this.changed = 0;
  }

  get isProblem() {
    return PROBLEMS.includes(this.health) || this.logs.some((log) => log.failing);
  }
}

export class Store {
  constructor() {
    this.jobs = new Map();
    this.processes = new Map();
  }

  job(name) {
    let job = this.jobs.get(name);
    if (!job) this.jobs.set(name, (job = new Job(name)));
    return job;
  }

  process(pid, job) {
    let process = this.processes.get(pid);
    if (!process) {
      process = new Process(pid, job);
      this.processes.set(pid, process);
      job.processes.set(pid, process);
    }
    return process;
  }

  forget(pid) {
    const process = this.processes.get(pid);
    if (!process) return;
    this.processes.delete(pid);
    process.job.processes.delete(pid);
  }

  remove(name) {
    const job = this.jobs.get(name);
    if (!job) return;
    for (const pid of job.processes.keys()) this.processes.delete(pid);
    this.jobs.delete(name);
  }

  /** `/status`, asked for after the event of that number: all jobs in their order; those that are not there are gone. */
  takeStatus(list, asked) {
    const before = this.jobs;
    this.jobs = new Map();
    for (const status of list) {
      const job = before.get(status.name) ?? new Job(status.name);
      before.delete(status.name);
      this.jobs.set(job.name, job);
      this.takeJob(job, status, asked);
    }
    for (const job of before.values()) {
      if (job.changed > asked) this.jobs.set(job.name, job);
      else for (const pid of job.processes.keys()) this.processes.delete(pid);
    }
  }

  /**
   * What `/status` and `/jobs/…` have in common, and of the latter which processes there are. Of what events tell, one that came
   * while this was on its way knows better; it is asked again then.
   */
  takeJob(job, info, asked) {
    if (job.changed > asked) {
      if (info.config) [job.config, job.logs] = [info.config, info.logs ?? []];
      return;
    }
    job.state = info.state;
    job.running = info.running;
    job.wanted = info.numprocesses;
    [job.health, job.restarts, job.lastExit, job.started] = [info.health, info.restarts, info.last_exit, info.started];
    if (job.state !== 'flapping') job.retry = null;
    const ending = new Set(info.ending);
    if (info.config) {
      job.config = info.config;
      job.logs = info.logs ?? [];
      const there = new Set([...info.processes, ...info.ending]);
      for (const pid of there) this.process(pid, job);
      for (const pid of job.processes.keys()) if (!there.has(pid)) this.forget(pid);
    }
    for (const pid of ending) {
      const process = job.processes.get(pid);
      if (process) process.state = 'stopping';
    }
  }

  /** `/<pid>`, as `takeJob`. */
  takeProcess(process, info, asked) {
    process.known = true;
    process.osPid = info.os_pid;
    process.instance = info.instance;
    process.started = info.create_time;
    process.once = info.commited;
    if (process.job.changed > asked) return;
    process.state = info.state;
    if (info.state === 'exited') this.forget(process.pid);
  }

  /** A sample of one process; what its children use counts as its own. */
  takeStats(stats, time) {
    const job = this.jobs.get(stats.name);
    if (!job) return;
    const isNew = !this.processes.has(stats.pid);
    const process = this.process(stats.pid, job);
    if (isNew) {
      process.state = 'running';
      process.started = stats.create_time;
    }
    process.osPid ??= stats.os_pid;
    const [cpu, memory] = sum(stats);
    process.ring.push(time, cpu, memory);
    return job;
  }

  /** After a round of samples: the sums of the jobs. */
  addUp(time) {
    for (const job of this.jobs.values()) {
      let [cpu, memory, any] = [0, 0, false];
      for (const { ring } of job.processes.values()) {
        const last = ring.last;
        if (last && time - last.time < 15) {
          cpu += last.cpu;
          memory += last.memory;
          any = true;
        }
      }
      if (any || job.ring.length > 0) job.ring.push(time, cpu, memory);
    }
  }

  /** What an event says by itself; `true` if it was the end of a process that nobody had asked for. */
  takeEvent(event) {
    if (!event.name) return false;
    if (event.event === 'delete') {
      this.remove(event.name);
      return false;
    }
    const job = this.job(event.name);
    switch (event.event) {
      case 'start':
        job.state = 'active';
        job.health = 'active';
        break;
      case 'spawn': {
        const process = this.process(event.pid, job);
        // Until the job is looked at again.
        job.running = Math.max(job.running, job.processes.size);
        process.state = 'running';
        process.osPid = event.os_pid;
        process.started = event.time;
        job.started = event.time;
        break;
      }
      case 'stop_pid':
      case 'reap':
        if (job.processes.has(event.pid)) job.processes.get(event.pid).state = 'stopping';
        break;
      case 'exit': {
        const asked = job.processes.get(event.pid)?.state === 'stopping' || job.state === 'stopped';
        this.forget(event.pid);
        job.running = Math.min(job.running, job.processes.size);
        return !asked && !event.once;
      }
      case 'flap':
        job.retry = { n: event.retry, at: event.next_try };
        [job.state, job.health] = event.next_try === null ? ['stopped', 'gave up'] : ['flapping', 'flapping'];
        break;
      case 'stop':
        job.state = 'stopped';
        // Giving up has stopped it already, and is what there is to say.
        if (job.health !== 'gave up') job.health = 'stopped';
        for (const process of job.processes.values()) process.state = 'stopping';
        break;
      case 'update':
        job.wanted = event.numprocesses;
        break;
    }
    return false;
  }

  totals() {
    const totals = { jobs: this.jobs.size, running: 0, problems: 0, stopped: 0, cpu: 0, memory: 0 };
    for (const job of this.jobs.values()) {
      totals.running += job.running;
      if (job.isProblem) totals.problems++;
      if (job.state === 'stopped') totals.stopped++;
      totals.cpu += job.ring.last?.cpu ?? 0;
      totals.memory += job.ring.last?.memory ?? 0;
    }
    return totals;
  }
}

function sum(stats) {
  let [cpu, memory] = [stats.cpu ?? 0, stats.rss ?? 0];
  for (const child of stats.children ?? []) {
    const [c, m] = sum(child);
    cpu += c;
    memory += m;
  }
  return [cpu, memory];
}
