// node console.mjs SCENE CHROMIUM HOST:PORT PROFILE [KEY]…: the web console as somebody uses it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const [, , scene, chromium, address, profile, ...keys] = process.argv;
const DEADLINE = 80_000;

/** So much of what the browser said last is kept, in characters. */
const LAST_WORDS = 4000;

/** Chromium, by its protocol on two pipes. */
class Browser {
  constructor() {
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking'];
    this.child = spawn(chromium, [...flags, '--remote-debugging-pipe', `--user-data-dir=${profile}`], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
    [this.number, this.waiting, this.rest, this.faults, this.responses, this.words, this.dead] = [0, new Map(), '', [], [], '', null];
    this.child.stderr.on('data', (bytes) => (this.words = (this.words + bytes).slice(-LAST_WORDS)));
    this.child.once('error', (error) => this.die(`the browser cannot be started: ${error.message}`));
    this.child.once('exit', async (code, signal) => {
      // What it said may still be on its way; whatever it leaves behind may hold the pipe.
      await Promise.race([new Promise((done) => this.child.stderr.once('end', done)), sleep(1000)]);
      this.die(`the browser has ended: ${signal ?? `code ${code}`}`);
    });
    // That it does not read any more is told by its end.
    this.child.stdio[3].on('error', () => {});
    this.child.stdio[4].on('data', (bytes) => {
      const messages = (this.rest + bytes).split('\0');
      this.rest = messages.pop();
      messages.forEach((message) => this.take(JSON.parse(message)));
    });
  }

  /** Whoever waits for it, or would, hears so at once. */
  die(why) {
    this.dead ??= new Error(`${why}; its last words:\n${this.words}`);
    for (const [, reject] of this.waiting.values()) reject(this.dead);
    this.waiting.clear();
  }

  take({ id, error, result, method, params }) {
    if (id) {
      if (!this.waiting.has(id)) return;
      const [resolve, reject] = this.waiting.get(id);
      this.waiting.delete(id);
      error ? reject(new Error(JSON.stringify(error))) : resolve(result);
    } else if (method === 'Inspector.targetCrashed') this.die('the page has crashed');
    else if (method === 'Runtime.exceptionThrown') this.faults.push(params.exceptionDetails.exception?.description ?? 'an exception');
    else if (method === 'Log.entryAdded' && params.entry.level === 'error') this.faults.push(`${params.entry.source}: ${params.entry.text} ${params.entry.url ?? ''}`);
    else if (method === 'Runtime.consoleAPICalled' && params.type === 'error') this.faults.push('console.error');
    else if (method === 'Audits.issueAdded' && params.issue.code === 'ContentSecurityPolicyIssue') this.faults.push(JSON.stringify(params.issue.details));
    else if (method === 'Network.responseReceived') this.responses.push(params.response);
  }

  send(method, params = {}, sessionId = this.session) {
    if (this.dead) return Promise.reject(this.dead);
    const id = ++this.number;
    this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.waiting.set(id, [resolve, reject]));
  }

  async open(url, { width = 1280, height = 800, scheme = 'light', mobile = false } = {}) {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' }, undefined);
    this.session = (await this.send('Target.attachToTarget', { targetId, flatten: true }, undefined)).sessionId;
    for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'Audits', 'Inspector']) await this.send(`${domain}.enable`);
    await this.size(width, height, mobile);
    await this.scheme(scheme);
    await this.send('Page.navigate', { url });
  }

  size(width, height, mobile) {
    return this.send('Emulation.setDeviceMetricsOverride', { width, height, mobile, deviceScaleFactor: 1 });
  }

  scheme(value) {
    return this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
  }

  /** The value of an expression in the page; `row(name)` there is the row of a job, `$` finds by id. */
  async value(expression) {
    const helpers = `const $ = (id) => document.getElementById(id); const row = (job) => document.querySelector('[data-key="j:' + job + '"]');`;
    const wrapped = `(() => { ${helpers} return (${expression}); })()`;
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression: wrapped, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  async until(what, expression) {
    const end = Date.now() + DEADLINE;
    for (;;) {
      const value = await this.value(expression).catch(() => null);
      if (value) return value;
      if (this.dead) throw this.dead;
      if (Date.now() > end) {
        const text = await this.value('document.body.innerText.slice(0, 3000)').catch((error) => error.message);
        throw new Error(`in vain waited for: ${what}\n${expression}\n${text}\n${this.faults.join('\n')}`);
      }
      await sleep(40);
    }
  }

  async key(key, text = key.length === 1 ? key : undefined) {
    const code = { Enter: 13, Escape: 27, ArrowDown: 40, End: 35, Home: 36 }[key];
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', key, text: key === 'Enter' ? '\r' : text, windowsVirtualKeyCode: code });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', key, windowsVirtualKeyCode: code });
  }

  async close() {
    // It ends its own children then, which would write into the profile for a while.
    const ended = this.child.exitCode !== null || this.child.signalCode !== null ? null : new Promise((done) => this.child.once('exit', done));
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    // One whose page has crashed may not hear it.
    if (this.dead) this.child.kill('SIGKILL');
    else this.send('Browser.close', {}, undefined).catch(() => {});
    await ended;
    clearTimeout(timer);
  }
}

const api = async (path) => (await fetch(`http://${address}/${path}`)).json();

async function eventually(what, f) {
  const end = Date.now() + DEADLINE;
  while (!(await f())) {
    if (browser.dead) throw browser.dead;
    if (Date.now() > end) throw new Error(`in vain waited for: ${what}`);
    await sleep(40);
  }
}

const page = (at = address) => `http://${at}/_plugin/console/`;
const LIVE = "document.body.dataset.link === 'live'";

const scenes = {
  async control(browser) {
    await browser.open(page());
    await browser.until('the jobs', `${LIVE} && row('default.web') && row('default.idle') && row('shop.crash') && row('shop.gone')`);
    await browser.until('its processes', "row('default.web').querySelector('output').textContent === '2/2'");
    await browser.until('what is wrong', "row('shop.crash').dataset.state === 'flapping' && row('shop.crash').innerText.includes('flapping')");
    await browser.until('who was given up before the page came', "row('shop.gone').innerText.includes('gave up')");
    assert.equal(await browser.value("$('totals').innerText.includes('3 problems')"), true);
    // The node's own words and numbers, as `gafferctl status` has them.
    await browser.until('a crash loop', "row('shop.loop').dataset.state === 'crash-loop' && row('shop.loop').querySelector('.state small').textContent === 'code 3'");
    await eventually('what the node says', async () => {
      const { jobs } = await api('status');
      const shown = await browser.value("[...document.querySelectorAll('#rows .job')].map((row) => [row.dataset.key, row.querySelector('.state .word').textContent, row.querySelector('.restarts').textContent].join())");
      return JSON.stringify(jobs.map((job) => [`j:${job.name}`, job.health, job.restarts].join()).sort()) === JSON.stringify(shown.sort());
    });
    await browser.until('figures', "/MiB/.test(row('default.web').querySelector('.memory').innerText)");

    // Up, and down; none is asked about above 1.
    await browser.value("row('default.web').querySelector('[data-act=more]').click()");
    await eventually('three', async () => (await api('jobs/default/web')).running === 3);
    await browser.until('three shown', "row('default.web').querySelector('output').textContent === '3/3'");
    await browser.value("row('default.web').querySelector('[data-act=less]').click()");
    await eventually('two', async () => (await api('jobs/default/web')).numprocesses === 2);

    // Stop asks, and Cancel means no.
    await browser.value("row('default.web').querySelector('[data-act=stop]').click()");
    await browser.until('a question', "$('ask').open && $('ask-title').textContent.includes('web')");
    await browser.key('Escape');
    await browser.until('no question', "!$('ask').open");
    assert.equal((await api('jobs/default/web')).state, 'active');
    await browser.value("row('default.web').querySelector('[data-act=stop]').click()");
    await browser.until('a question', "$('ask').open && document.activeElement === $('ask-yes')");
    await browser.key('Enter');
    await eventually('the end', async () => (await api('jobs/default/web')).state === 'stopped');
    await browser.until('that it is stopped', "row('default.web').dataset.state === 'stopped'");
    assert.equal(await browser.value("row('default.web').querySelector('[data-act=more]').disabled"), true);

    // By keys alone: to the job, start; its signal.
    await browser.key('/');
    await browser.until('the filter', "document.activeElement === $('filter')");
    await browser.send('Input.insertText', { text: 'idle' });
    await browser.until('one job', "document.querySelectorAll('#rows .job').length === 1");
    await browser.key('Enter');
    for (let n = 0; n < 3 && !(await browser.value("document.activeElement === row('default.idle')")); n++) await browser.key('ArrowDown');
    await browser.until('the focus', "document.activeElement === row('default.idle')");
    await browser.key('s');
    await eventually('its start', async () => (await api('jobs/default/idle')).running === 1);
    await browser.until('that it runs', "row('default.idle').dataset.state === 'active'");
    const [before] = (await api('jobs/default/idle')).processes;
    await browser.key('k');
    await browser.until('a question', "$('ask').open && document.activeElement === $('signal')");
    await browser.value("($('signal').value = 'KILL', $('ask-yes').click())");
    await eventually('another process', async () => {
      const { processes } = await api('jobs/default/idle');
      return processes.length === 1 && processes[0] !== before;
    });
    await browser.key('3');
    await browser.until('the log of events', `$('log').innerText.includes('process ${before} was ended by SIGKILL') && $('log').innerText.includes('SIGKILL sent to')`);
    assert.equal(await browser.value("$('log').querySelector('[data-mood=bad] .says').textContent.startsWith('Problem: ')"), true);

    // What is refused is said.
    await fetch(`http://${address}/jobs/default/idle`, { method: 'DELETE' });
    await browser.until('that it is gone', "!row('default.idle')");
    await browser.key('?');
    await browser.until('the keys', "$('keys').open && $('key-list').innerText.includes('one process more')");
    await browser.key('Escape');

    // A load that is not ours shows by itself.
    await fetch(`http://${address}/jobs/late`, { method: 'POST', body: '{"name": "comer", "cmd": "sleep 1000"}' });
    await browser.value("($('filter').value = '', $('filter').dispatchEvent(new Event('input')))");
    await browser.until('a new job', "row('late.comer')?.dataset.state === 'active'");

    // Nothing is sampled for a page that nobody sees, and it comes back by itself.
    const monitors = async () => Number(/^gaffer_monitors (\d+)/m.exec(await (await fetch(`http://${address}/metrics`)).text())[1]);
    await eventually('samples', async () => (await monitors()) === 1);
    const hide = (hidden) => browser.value(`(Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true }), document.dispatchEvent(new Event('visibilitychange')))`);
    await hide(true);
    await eventually('no samples', async () => (await monitors()) === 0);
    await fetch(`http://${address}/jobs/late/comer`, { method: 'DELETE' });
    await hide(false);
    await browser.until('what has changed', `${LIVE} && !row('late.comer')`);
    await eventually('samples', async () => (await monitors()) === 1);
  },

  async output(browser) {
    await browser.open(page());
    await browser.until('the job', `${LIVE} && row('default.hostile')`);
    await browser.value("row('default.hostile').click()");
    await browser.until('its output', "$('lines').innerText.includes('needle') && $('lines').innerText.includes('trouble')");
    const lines = await browser.value("[...document.querySelectorAll('#lines .text')].map((line) => line.textContent)");
    assert.ok(lines.includes('<img src=x onerror=document.title=1><script>document.title=2</script>'), String(lines));
    assert.ok(lines.includes('red plain yellow'), String(lines));
    assert.equal(await browser.value("document.querySelectorAll('#lines img, #lines script, #lines [onerror]').length"), 0);
    assert.equal(await browser.value("document.querySelector('#lines .f-1').textContent"), 'red');
    assert.equal(await browser.value("document.querySelectorAll('#lines .err').length === 1 && document.querySelector('#lines .err abbr').textContent === 'err'"), true);
    assert.ok(!['1', '2', 'title'].includes(await browser.value('document.title')));

    // Search: what matches is left, and marked; a pattern that is none is said to be.
    const find = (text) => browser.value(`($('find').value = ${JSON.stringify(text)}, $('find').dispatchEvent(new Event('input')))`);
    await find('NEEDLE');
    await browser.until('one line', "document.querySelectorAll('#lines .line').length === 1 && document.querySelector('#lines mark').textContent === 'needle'");
    await find('/pl..n yel/');
    await browser.until('a match across colours', "[...document.querySelectorAll('#lines mark')].map((m) => m.textContent).join('') === 'plain yel'");
    await find('/(/');
    await browser.until('a bad pattern', "$('find').getAttribute('aria-invalid') === 'true'");
    await find('');
    await browser.until('all lines', "document.querySelectorAll('#lines .line').length === 4");
    await browser.value("document.querySelector('#fds [data-value=err]').click()");
    await browser.until('standard error', "document.querySelectorAll('#lines .line').length === 1");
    await browser.value("document.querySelector('#fds [data-value=all]').click()");

    // What comes during a pause is kept for its end.
    await browser.value("$('pause').click()");
    const [pid] = (await api('jobs/default/hostile')).processes;
    await fetch(`http://${address}/${pid}`, { method: 'DELETE' });
    await browser.until('new lines', "/\\d+ new/.test($('pause').textContent)");
    assert.equal(await browser.value("document.querySelectorAll('#lines .line').length"), 4);
    await browser.until('all of them', "/ 4 new/.test($('pause').textContent.replace('(', ' '))");
    await browser.value("$('pause').click()");
    await browser.until('them shown', "document.querySelectorAll('#lines .line').length === 8");
    await browser.value("$('clear').click()");
    await browser.until('nothing', "document.querySelectorAll('#lines .line').length === 0");

    // A job whose output is not taken says so.
    await browser.value("row('default.web').click()");
    await browser.until('a hint', "!$('no-lines').hidden && $('no-lines').textContent.includes('redirect_output')");
  },

  async looks(browser) {
    await browser.open(page(), { width: 390, height: 844, mobile: true });
    await browser.until('the job', `${LIVE} && row('default.hostile')`);
    for (const view of ['jobs', 'output', 'events']) {
      await browser.value(`document.querySelector('[data-to=${view}]').click()`);
      for (const width of [320, 390]) {
        await browser.size(width, 844, true);
        await browser.until('the width', `innerWidth === ${width}`);
        const [wide, most] = await browser.value("[document.documentElement.scrollWidth, Math.max(...[...document.querySelectorAll('header, header *, nav button, .bar > *')].filter((e) => e.checkVisibility() && !e.closest('.hush')).map((e) => e.getBoundingClientRect().right))]");
        assert.ok(wide <= width && most <= width + 0.5, `${view} at ${width}: ${wide}, ${most}`);
      }
    }
    await browser.size(1280, 800, false);
    await browser.until('the wide page', 'innerWidth === 1280');
    await browser.value("row('default.hostile').click()");
    await browser.until('its output', "$('lines').innerText.includes('needle')");
    const backs = [];
    for (const scheme of ['light', 'dark']) {
      await browser.scheme(scheme);
      await browser.until(scheme, `matchMedia('(prefers-color-scheme: ${scheme})').matches`);
      const low = await browser.value(`(${contrasts})()`);
      assert.deepEqual(low, [], `too little contrast in ${scheme}`);
      backs.push(await browser.value('getComputedStyle(document.body).backgroundColor'));
    }
    assert.notEqual(backs[0], backs[1]);
    // The choice wins over the system, and is remembered.
    await browser.key('t');
    await browser.until('light', "document.documentElement.dataset.theme === 'light'");
    assert.equal(await browser.value('getComputedStyle(document.body).backgroundColor'), backs[0]);
    await browser.send('Page.reload');
    await browser.until('light again', `${LIVE} && document.documentElement.dataset.theme === 'light'`);
  },

  async gone(browser) {
    // In between stands a relay that can be cut.
    const [host, port] = address.split(':');
    let sockets = new Set();
    const relay = createServer((client) => {
      const server = connect(Number(port), host);
      for (const [from, to] of [[client, server], [server, client]]) {
        sockets.add(from);
        from.on('error', () => {}).on('close', () => to.destroy()).pipe(to);
      }
    });
    // Somebody else may have the port for a moment.
    const listen = async (at) => {
      for (const end = Date.now() + DEADLINE; ; await sleep(100)) {
        const fault = await new Promise((done) => relay.once('error', done).listen(at, '127.0.0.1', done));
        relay.removeAllListeners('error').removeAllListeners('listening');
        if (!fault) return relay.address().port;
        if (Date.now() > end) throw fault;
      }
    };
    const at = await listen(0);
    await browser.open(page(`127.0.0.1:${at}`));
    await browser.until('the job', `${LIVE} && row('default.web')`);
    const stopped = new Promise((done) => relay.close(done));
    sockets.forEach((socket) => socket.destroy());
    sockets = new Set();
    await stopped;
    await browser.until('that it is gone', "document.body.dataset.link === 'gone' && !$('gone').hidden && $('gone').innerText.includes('does not answer')");
    assert.equal(await browser.value("row('default.web') !== null"), true);
    await browser.value("row('default.web').querySelector('[data-act=stop]').click()");
    await browser.until('that nothing can be done', "$('toasts').innerText.includes('does not answer')");
    await fetch(`http://${address}/jobs/default/web/numprocesses`, { method: 'POST', body: '{"scale": "=1"}' });
    await listen(at);
    await browser.value("$('retry').click()");
    await browser.until('that it is back', `${LIVE} && $('gone').hidden && row('default.web').querySelector('output').textContent.endsWith('/1')`);
    // Requests that failed in between are told by the browser itself.
    browser.faults = browser.faults.filter((fault) => !/net::ERR_(CONNECTION|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|INVALID_CHUNKED_ENCODING|SOCKET_NOT_CONNECTED)/.test(fault));
    relay.close();
    sockets.forEach((socket) => socket.destroy());
  },

  async keys(browser) {
    const [admin, reader, shop, narrow] = keys;
    const ask = (path, init) => fetch(`http://${address}/${path}`, { ...init, headers: { 'X-Api-Key': admin } });
    const use = async (key) => {
      await browser.until('the field', "$('lock').open && document.activeElement === $('lock-key')");
      await browser.send('Input.insertText', { text: key });
      await browser.key('Enter');
    };
    /** What can be seen of the buttons of a job. */
    const buttons = (job) => browser.value(`[...row('${job}').querySelectorAll('[data-act]')].filter((b) => b.checkVisibility()).map((b) => b.dataset.act).join(' ')`);
    await browser.open(page());
    await browser.until('the field', "$('lock').open && document.body.dataset.link === 'locked' && $('lock-fault').hidden");
    assert.equal(await browser.value("document.querySelectorAll('#rows .row').length"), 0);
    await use(' ');
    await browser.until('what is wrong', "$('lock').open && !$('lock-fault').hidden");
    await browser.value("($('lock-key').value = '')");
    await use('nonsense');
    await browser.until('that it is not known', "$('lock').open && $('lock-fault').textContent.includes('not known')");

    // One that reads looks, and no more.
    await use(reader);
    await browser.until('the jobs', `${LIVE} && row('default.web') && row('default.idle') && row('shop.gone')`);
    await browser.until('its processes', "row('default.web').querySelector('output').textContent === '2/2'");
    await browser.until('that one is stopped', "row('default.idle').dataset.state === 'stopped'");
    assert.equal(await browser.value("$('link-text').textContent"), 'live, read only');
    assert.equal(await buttons('default.web'), 'toggle menu');
    await browser.value("row('default.web').focus()");
    await browser.key('x');
    await browser.until('that it may not', "$('toasts').innerText.includes('change nothing')");
    await browser.key('m');
    await browser.until('the menu', "!$('menu').hidden");
    assert.equal(await browser.value("[...$('menu').querySelectorAll('button')].map((b) => b.firstChild.data).join()"), 'Show output,Show events');
    await browser.key('Escape');
    await browser.value("row('default.hostile').click()");
    await browser.until('its output', "$('lines').innerText.includes('needle')");

    // The key is in this tab, and nowhere else.
    const where = await browser.value("[sessionStorage.getItem('gaffer-key'), JSON.stringify(localStorage) + document.cookie + location.href + document.documentElement.outerHTML]");
    assert.ok(where[0] === reader && !where[1].includes(reader));
    assert.ok(!browser.responses.some((response) => response.url.includes(reader)));
    await browser.send('Page.reload');
    await browser.until('the jobs', `${LIVE} && row('default.web') && !$('lock').open`);

    // One that manages a session is offered just that.
    await browser.value("$('unlock').click()");
    await browser.until('what it may', "$('lock-text').textContent.includes('read *')");
    await use(shop);
    await browser.until('the jobs', `${LIVE} && row('shop.crash')?.querySelector('[data-act=more]').checkVisibility()`);
    assert.equal(await buttons('default.web'), 'toggle menu');
    // One that does not see the whole node has no use for this page.
    await browser.value("$('unlock').click()");
    await use(narrow);
    await browser.until('why not', "$('lock').open && $('lock-fault').textContent.includes('right read is needed') && $('lock-text').textContent.includes('read shop')");
    assert.equal(await browser.value("document.querySelectorAll('#rows .row').length"), 0);

    // One that goes takes the page along, which says so.
    const { api_key: brief, key: id } = await (await ask('keys', { method: 'POST', body: '{"permissions": {"admin": true}}' })).json();
    await use(brief);
    await browser.until('the jobs', `${LIVE} && row('default.web')?.querySelector('[data-act=more]').checkVisibility()`);
    await browser.value("row('default.web').querySelector('[data-act=more]').click()");
    await eventually('three', async () => (await (await ask('jobs/default/web')).json()).running === 3);
    await ask(`keys/${id}`, { method: 'DELETE' });
    await browser.until('that it is gone', "$('lock').open && $('lock-fault').textContent.includes('not good any more') && document.body.dataset.link === 'locked'");

    // Readable, on a phone too.
    for (const width of [320, 390]) {
      await browser.size(width, 844, true);
      await browser.until('the width', `innerWidth === ${width}`);
      const most = await browser.value("Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll('header, header *, #lock, #lock *')].filter((e) => e.checkVisibility() && !e.closest('.hush')).map((e) => e.getBoundingClientRect().right))");
      assert.ok(most <= width + 0.5, `${width}: ${most}`);
    }
    await browser.size(1280, 800, false);
    for (const scheme of ['light', 'dark']) {
      await browser.scheme(scheme);
      await browser.until(scheme, `matchMedia('(prefers-color-scheme: ${scheme})').matches`);
      assert.deepEqual(await browser.value(`(${contrasts})()`), [], `too little contrast in ${scheme}`);
    }
    // Forgotten is forgotten.
    await browser.value("$('lock-forget').click()");
    await browser.until('the field', "$('lock').open && sessionStorage.getItem('gaffer-key') === null");
    await browser.value("$('lock-no').click()");
    await browser.until('nothing', "$('empty').innerText.includes('Without a key') && !$('totals').checkVisibility({ visibilityProperty: true })");
    browser.faults = browser.faults.filter((fault) => !/status of 40[13]/.test(fault));
  },
};

/** In the page: texts with a contrast below 4.5 (WCAG 2.2, 1.4.3), as they are painted. */
function contrasts() {
  const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
  const paint = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const low = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest('svg, .hush, .skip, :disabled, noscript')) continue;
    const backs = [];
    for (let e = element; e; e = e.parentElement) backs.unshift(getComputedStyle(e).backgroundColor);
    const [back, front] = [paint(['white', ...backs]), paint(['white', ...backs, getComputedStyle(element).color])].map(luminance);
    const contrast = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
    if (contrast < 4.5) low.push(`${element.tagName}.${element.className} ${element.textContent.slice(0, 30)}: ${contrast.toFixed(2)}`);
  }
  return [...new Set(low)];
}

const browser = new Browser();
let code = 0;
try {
  await scenes[scene](browser);
  const policy = browser.responses.find((response) => response.url.endsWith('/_plugin/console/')).headers;
  const [, value] = Object.entries(policy).find(([name]) => name.toLowerCase() === 'content-security-policy') ?? [];
  assert.ok(value?.startsWith("default-src 'none'; script-src 'self'; "), value);
  // A process that was asked for while it ended is a 404, which browsers note.
  assert.deepEqual(browser.faults.filter((fault) => !/status of 404/.test(fault)), []);
} catch (error) {
  console.error(error);
  code = 1;
} finally {
  await browser.close();
}
process.exit(code);
