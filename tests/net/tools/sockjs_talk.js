// A conversation of sockjs-client with an echo, in node and in a page. talk(SockJS, url, transport, options) resolves to what it has seen.
'use strict';

/// What browsers, proxies and JavaScript are known to change: what the protocol has each side escape, and more.
function texts() {
  const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => String.fromCharCode(from + i)).join('');
  return [
    'plain', '', ' leading', 'trailing ', '"quoted" \\ \\u0041 \'', '</script><!-- ]]> &amp; <b>', 'line\nend\r\n\tand\0nul',
    'äöü € 漢字 עברית', '😀 \u{10ffff} 👩‍👩‍👧', range(0, 0x20), range(0x7f, 0xad), range(0x600, 0x604) + '\u070f\u17b4\u17b5',
    range(0x2000, 0x20ff), range(0xfff0, 0xffff), '\ufeffbom', range(0xf900, 0xfa6d), range(0x300, 0x362), '%61 + & = d=',
    '["a"]', 'a["x"]', 'c[3000,"Go away!"]', 'o',
  ];
}

async function talk(SockJS, url, transport, options) {
  const until = (what, promise) => Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`${transport}: in vain waited for ${what}`)), 80000)),
  ]);
  const open = async () => {
    const socket = new SockJS(url, null, Object.assign({ transports: [transport], timeout: 80000 }, options));
    socket.got = [];
    socket.closed = new Promise((resolve) => { socket.onclose = resolve; });
    socket.onmessage = ({ data }) => { socket.got.push(data); if (socket.wake) socket.wake(); };
    await until('an open session', new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.closed.then((e) => reject(new Error(`${transport}: closed ${e.code} ${e.reason}`)));
    }));
    if (socket.transport !== transport) throw new Error(`${socket.transport} instead of ${transport}`);
    return socket;
  };
  const take = (socket, count) => until(`${count} messages`, (async () => {
    while (socket.got.length < count) await new Promise((resolve) => { socket.wake = resolve; });
    return socket.got.splice(0, count);
  })());
  const same = (got, want, what) => {
    const at = want.findIndex((text, i) => text !== got[i]);
    if (at >= 0) throw new Error(`${transport}: ${what} ${at}: ${escape(got[at]).slice(0, 300)} is not ${escape(want[at]).slice(0, 300)}`);
  };

  let socket = await open();
  const all = texts();
  all.forEach((text) => socket.send(text));
  same(await take(socket, all.length), all, 'text');

  // Half a pair is no character; it comes back as U+FFFD.
  socket.send('half \ud83d pair');
  same(await take(socket, 1), ['half \ufffd pair'], 'half');

  // A mebibyte in all, in messages of all sizes: responses have to be ended and begun again for it. The client puts what waits
  // into one request, whose content is bounded, so not all of it at once.
  for (let size = 0, n = 0; size < 1 << 20;) {
    const some = [];
    for (let part = 0; part < 1 << 17; n++) {
      some.push(n + ' ' + 'é😀x漢'.repeat((n * 7919) % 4000));
      part += some[some.length - 1].length;
    }
    some.forEach((text) => socket.send(text));
    same(await take(socket, some.length), some, 'big message');
    size += some.join('').length;
  }

  // The server closes, after it has answered.
  socket.send('bye');
  same(await take(socket, 1), ['last words'], 'answer');
  const told = await until('the end', socket.closed);
  if (told.code !== 3001 || told.reason !== 'as asked' || !told.wasClean) {
    throw new Error(`${transport}: closed ${told.code} ${told.reason} ${told.wasClean}`);
  }

  // Another session, which we close.
  socket = await open();
  socket.send('again');
  same(await take(socket, 1), ['again'], 'answer');
  socket.close(3999, 'enough');
  const ours = await until('our end', socket.closed);
  if (ours.code !== 3999) throw new Error(`${transport}: closed ${ours.code}`);
  return `${transport} ok`;
}

if (typeof module !== 'undefined') module.exports = talk;
