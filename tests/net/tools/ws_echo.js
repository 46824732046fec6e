// Speaks to /wstreams with the package `ws`: ADDRESS, the number of a `cat`.
'use strict';
const assert = require('assert');
const { once } = require('events');
const WebSocket = require('ws');

const [address, pid] = process.argv.slice(2);
const url = `ws://${address}/wstreams/${pid}`;

async function open(options) {
  const socket = new WebSocket(url, options);
  socket.pieces = [];
  socket.on('message', (data, isBinary) => socket.pieces.push({ data, isBinary }));
  await once(socket, 'open');
  return socket;
}

async function read(socket, size) {
  const length = () => socket.pieces.reduce((sum, piece) => sum + piece.data.length, 0);
  while (length() < size) await once(socket, 'message');
  const pieces = socket.pieces.splice(0);
  return [Buffer.concat(pieces.map((piece) => piece.data)), pieces.some((piece) => piece.isBinary)];
}

async function refused(path, options) {
  const socket = new WebSocket(`ws://${address}${path}`, options);
  const [, response] = await once(socket, 'unexpected-response');
  socket.on('error', () => {});
  socket.terminate();
  return response.statusCode;
}

async function main() {
  const socket = await open({ origin: 'http://page.example' });
  socket.send('grüße\n');
  assert.deepStrictEqual(await read(socket, 8), [Buffer.from('grüße\n'), false]);
  socket.send(Buffer.from([0xff, 0, 0xfe]));
  assert.deepStrictEqual(await read(socket, 3), [Buffer.from([0xff, 0, 0xfe]), true]);
  socket.send('in ', { fin: false });
  socket.ping('?');
  const [pong] = await once(socket, 'pong');
  assert.strictEqual(pong.toString(), '?');
  socket.send('pieces\n');
  assert.strictEqual((await read(socket, 10))[0].toString(), 'in pieces\n');
  socket.close(4002, 'bye');
  assert.strictEqual((await once(socket, 'close'))[0], 4002);

  assert.strictEqual(await refused(`/wstreams/${pid}`, { origin: 'http://evil.example' }), 403);
  assert.strictEqual(await refused('/wstreams/999'), 404);

  const last = await open();
  await fetch(`http://${address}/${pid}`, { method: 'DELETE' });
  assert.strictEqual((await once(last, 'close'))[0], 1000);
}

main().then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
