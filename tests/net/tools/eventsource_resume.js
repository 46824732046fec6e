// Watches the job `web` at ADDRESS with the package `eventsource`, through a relay that cuts the connection, and kills its
// process before and during the cut: each event comes once.
'use strict';
const assert = require('assert');
const net = require('net');
const { EventSource } = require('eventsource');

const [address] = process.argv.slice(2);
const [host, port] = address.split(':');
const heads = [];
const pairs = new Set();
let cut = false;

const relay = net.createServer((client) => {
  if (cut) return client.destroy();
  const server = net.connect(Number(port), host);
  const pair = { client, server };
  pairs.add(pair);
  client.once('data', (head) => heads.push(head.toString()));
  client.pipe(server);
  server.pipe(client);
  for (const socket of [client, server]) {
    socket.on('error', () => {});
    socket.on('close', () => { client.destroy(); server.destroy(); pairs.delete(pair); });
  }
});

async function until(what, f) {
  for (const end = Date.now() + 80000; Date.now() < end;) {
    const value = await f();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`in vain waited for: ${what}; seen: ${JSON.stringify(seen)}`);
}

const ask = async (path) => (await fetch(`http://${address}${path}`)).json();
const seen = [];
const count = (name) => seen.filter((event) => event.type === name).length;

/// Kills the process of the job; its numbers, and those of the next one.
async function kill() {
  const { pids: [pid] } = await until('a process', async () => {
    const answer = await ask('/jobs/default/web/pids');
    return answer.pids.length === 1 && (await ask(`/${answer.pids[0]}`)).os_pid && answer;
  });
  process.kill((await ask(`/${pid}`)).os_pid, 'SIGKILL');
  await until('the next one', async () => {
    const answer = await ask('/jobs/default/web/pids');
    return answer.pids.length === 1 && answer.pids[0] !== pid && (await ask(`/${answer.pids[0]}`)).os_pid;
  });
  return pid;
}

async function main() {
  await new Promise((resolve) => relay.listen(0, '127.0.0.1', resolve));
  const source = new EventSource(`http://127.0.0.1:${relay.address().port}/watch?feed=eventsource`);
  for (const name of ['proc.web.exit', 'proc.web.spawn', 'gap']) {
    source.addEventListener(name, ({ type, data, lastEventId }) => seen.push({ type, id: lastEventId, ...JSON.parse(data) }));
  }
  await new Promise((resolve) => { source.onopen = resolve; });

  const first = await kill();
  await until('exit and spawn', () => count('proc.web.exit') === 1 && count('proc.web.spawn') === 1);
  cut = true;
  for (const { client, server } of pairs) { client.destroy(); server.destroy(); }
  await until('the cut', () => source.readyState === EventSource.CONNECTING);
  const second = await kill();
  assert.strictEqual(count('proc.web.exit'), 1, 'the connection is not cut');
  cut = false;
  await until('what was missed', () => count('proc.web.spawn') === 2);
  const third = await kill();
  await until('what follows', () => count('proc.web.spawn') === 3);

  const order = seen.map((event) => event.type);
  assert.deepStrictEqual(order, Array(3).fill(['proc.web.exit', 'proc.web.spawn']).flat());
  const exits = seen.filter((event) => event.type === 'proc.web.exit');
  assert.deepStrictEqual(exits.map((event) => [event.pid, event.term_signal]), [[first, 9], [second, 9], [third, 9]]);
  assert.strictEqual(new Set(seen.map((event) => event.id)).size, seen.length, 'ids are unique');
  const resumed = heads.map((head) => /^last-event-id: (.*)\r$/im.exec(head)).filter(Boolean).map((found) => found[1]);
  assert.ok(resumed.length >= 1 && resumed.every((id) => id.length > 0), heads.join('\n'));
  source.close();
}

main().then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
