// Talks to an echo with sockjs-client: URL, transport.
'use strict';
const SockJS = require('sockjs-client');
const talk = require('./sockjs_talk.js');

const [url, transport] = process.argv.slice(2);
talk(SockJS, url, transport, {}).then(
  (said) => { console.log(said); process.exit(0); },
  (e) => { console.error(e); process.exit(1); },
);
